package node

import (
	"context"
	"net/netip"
	"slices"
	"sync"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/hub"
	"mesh/proto/nat"
	"mesh/proto/path"
)

// forwarding is the router's ports of a waiter. The zero value has none.
type forwarding struct {
	cancel context.CancelFunc // nil unless the router is asked
	done   chan struct{}      // closed when the ports are given back

	mu   sync.Mutex
	list []candidate.Candidate
}

// start asks the router for the ports of a waiter, if the settings allow that, and in another
// network the router there. A waiter for one peer asks with NAT-PMP alone, which takes a
// moment; UPnP takes seconds.
func (f *forwarding) start(p *presence) {
	n, v := p.node, p.node.options.Via
	mux := p.endpoint.Mux()
	if p.at == nil || mux == nil || n.options.Reach.NoPortMap || v.Kind != "" && v.Kind != path.Direct {
		return
	}
	at, err := netip.ParseAddrPort(p.at.String())
	if err != nil || at.Addr().IsLoopback() {
		return
	}
	var ctx context.Context
	ctx, f.cancel = context.WithCancel(n.life)
	ports := n.portsOf(p.offer, at.Port())
	ports.Seen = func() []netip.Addr { return seenBy(ctx, mux, p.stun()) }
	f.done = make(chan struct{})
	go func() {
		defer close(f.done)
		for ctx.Err() == nil {
			here, left := n.untilChange(ctx)
			for got := range nat.MapPorts(here, ports) {
				n.Log.Info("ports of the router", "by", got.By, "ports", got.Candidates, "err", got.Err)
				f.set(got.Candidates)
			}
			f.set(nil)
			left()
		}
	}()
}

// portsOf returns which ports of a waiter the router is asked for, and how.
func (n *Node) portsOf(o Offer, port uint16) nat.PortMapOptions {
	ports := nat.PortMapOptions{Quick: o.Once}
	if n.uses(proto.ViaQUIC) {
		ports.UDP = port
	}
	if n.uses(proto.ViaTCP) {
		ports.TCP = port
	}
	return ports
}

func (f *forwarding) set(list []candidate.Candidate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = list
}

// seenBy returns the addresses at which STUN servers see this node.
func seenBy(ctx context.Context, mux *nat.Mux, servers []string) (list []netip.Addr) {
	ctx, cancel := context.WithTimeout(ctx, gatherTime)
	defer cancel()
	for _, at := range mux.Map(ctx, resolveServers(ctx, servers, false), nat.LocalAddrs()).Addrs {
		list = append(list, at.Addr())
	}
	return list
}

// candidates returns the ports that the router forwards.
func (f *forwarding) candidates() (list []hub.Candidate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.list {
		list = append(list, hub.Candidate(c))
	}
	return list
}

// stop gives the ports back. It blocks until then.
func (f *forwarding) stop() {
	if f.cancel != nil {
		f.cancel()
		<-f.done
	}
}

// stun returns the STUN servers of the waiter's hubs and of the settings.
func (p *presence) stun() []string {
	texts := slices.Clone(p.node.options.Reach.STUN)
	p.updating.Lock()
	defer p.updating.Unlock()
	for _, h := range p.open {
		texts = append(texts, h.agents[0].STUN()...)
	}
	return texts
}
