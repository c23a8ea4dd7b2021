package node

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/nat"
	"mesh/proto/path"
	"mesh/proto/transport"
)

// holeTime is how long a TCP hole is kept open for the other end.
const holeTime = 6 * time.Second

// hole is a TCP port of a round.
type hole struct {
	*nat.Hole
	four bool
}

func (h hole) mapped(ctx context.Context, servers []netip.AddrPort) (at netip.AddrPort, err error) {
	err = errNoServer
	for _, s := range servers {
		if s.Addr().Is4() != h.four {
			continue
		}
		if at, err = h.Map(ctx, s); err == nil || ctx.Err() != nil {
			break
		}
	}
	return at, err
}

// openHoles replaces the TCP holes by new ones, one for each family of the servers.
func (p *punching) openHoles(servers []netip.AddrPort) (made []hole) {
	if !p.via.Uses(proto.ViaTCP) {
		return nil
	}
	for _, network := range []string{"tcp4", "tcp6"} {
		four := network == "tcp4"
		if !slices.ContainsFunc(servers, func(s netip.AddrPort) bool { return s.Addr().Is4() == four }) {
			continue
		}
		h, err := nat.OpenHole(nat.HoleOptions{Network: network, Dialer: p.role == hub.RoleDialer, Loopback: p.local, Dials: p.dials})
		if err != nil {
			p.log("no TCP hole", "err", err)
			continue
		}
		made = append(made, hole{h, four})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.holes {
		go h.Close()
	}
	p.holes, p.begun = nil, time.Now()
	for _, h := range made {
		p.holes = append(p.holes, h.Hole)
		p.tasks.Go(func() { p.connect(h) })
	}
	if p.ctx.Err() != nil {
		go p.end()
	}
	return made
}

// connect takes the connections of a hole until its time is over.
func (p *punching) connect(h hole) {
	ctx, cancel := context.WithTimeout(p.ctx, holeTime)
	defer cancel()
	defer context.AfterFunc(ctx, h.Close)()
	p.mu.Lock()
	remote := p.remote
	p.mu.Unlock()
	for conn := range h.Connect(ctx, remote) {
		if p.take != nil {
			p.take(conn)
			continue
		}
		p.mu.Lock()
		if p.ctx.Err() != nil {
			conn.Close()
		} else {
			p.conns = append(p.conns, conn)
			p.changeLocked()
		}
		p.mu.Unlock()
	}
}

// route is the way over a connection of a hole. It is closed with the punching if no dial
// has taken it by then.
func (p *punching) route(conn net.Conn) path.Route {
	keep := context.AfterFunc(p.ctx, func() { conn.Close() })
	to := punchedPath(conn)
	return path.Route{Path: to, Dial: func(context.Context) (transport.Carrier, error) {
		if !keep() {
			return transport.Carrier{}, net.ErrClosed
		}
		return transport.Carrier{Conn: conn, Path: to}, nil
	}}
}

// punchedPath is the path of a connection through a TCP hole.
func punchedPath(conn net.Conn) path.Path {
	proto := "tcp6"
	if at, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil && at.Addr().Unmap().Is4() {
		proto = "tcp4"
	}
	return path.Path{Kind: path.Punched, Proto: proto}
}
