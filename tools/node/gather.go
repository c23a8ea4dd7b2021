package node

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/hub"
	"mesh/proto/nat"
)

// gatherTime bounds what the STUN servers may take, name lookups included.
const gatherTime = time.Second

var errNoServer = proto.Errorf(proto.Unreachable, "no STUN server is known")

// round gathers this end's candidates, with new holes for TCP, and tells them to the other
// end. It blocks until then.
func (p *punching) round() {
	ctx, cancel := context.WithTimeout(p.ctx, gatherTime)
	defer cancel()
	servers := p.servers(ctx)
	m := hub.Meeting{Candidates: p.hosts()}
	var wg sync.WaitGroup
	var mu sync.Mutex
	add := func(t candidate.Type, proto candidate.Proto, at netip.AddrPort) {
		mu.Lock()
		defer mu.Unlock()
		c := hub.Candidate(candidate.At(t, proto, at, 0xffff))
		same := func(o hub.Candidate) bool { return o.Addr == c.Addr && o.Proto == c.Proto }
		if len(m.Candidates) < hub.MaxCandidates && !slices.ContainsFunc(m.Candidates, same) {
			m.Candidates = append(m.Candidates, c)
		}
	}
	if p.checker != nil {
		wg.Go(func() {
			found := p.endpoint.Mux().Map(ctx, servers, nat.LocalAddrs())
			m.NAT = string(found.Kind)
			for _, at := range found.Addrs {
				add(candidate.ServerReflexive, candidate.UDP, at)
			}
		})
	}
	for _, h := range p.openHoles(servers) {
		wg.Go(func() {
			if at, err := h.mapped(ctx, servers); err == nil {
				add(candidate.ServerReflexive, candidate.TCP, at)
			} else {
				p.log("no STUN server answers over TCP", "err", err)
			}
		})
	}
	wg.Wait()
	p.mu.Lock()
	p.here = m.NAT
	p.mu.Unlock()
	if p.ctx.Err() == nil {
		p.log("candidates", "nat", m.NAT, "list", m.Candidates)
		p.updates.Tell(m)
	}
}

// maxServerAddrs bounds the addresses of one STUN server that are asked.
const maxServerAddrs = 4

// resolveServers returns the addresses of STUN servers. They are a hub's word, so those to
// which no candidate may lead are left out.
func resolveServers(ctx context.Context, texts []string, local bool) (list []netip.AddrPort) {
	for _, text := range texts {
		host, service, err := net.SplitHostPort(text)
		port, portErr := strconv.ParseUint(service, 10, 16)
		if err != nil || portErr != nil {
			continue
		}
		addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			continue
		}
		for _, a := range addrs[:min(len(addrs), maxServerAddrs)] {
			at := netip.AddrPortFrom(a.Unmap(), uint16(port))
			if candidate.At(candidate.ServerReflexive, candidate.UDP, at, 0).Dialable(local) {
				list = append(list, at)
			}
		}
	}
	return list
}
