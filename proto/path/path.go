package path

import (
	"context"
	"net/netip"
	"slices"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/transport"
)

// Path says which way the packets of a connection go.
type Path = transport.Path

// Kind is the class of a path.
type Kind = transport.Kind

// The kinds, the best first. Direct, Mapped and Punched are equally good.
const (
	LAN     = transport.LAN
	Direct  = transport.Direct
	Mapped  = transport.Mapped
	Punched = transport.Punched
	Tunnel  = transport.Tunnel
	Relay   = transport.Relay
)

// Route is a way to the peer that is not an address: one through a relay, or a TCP
// connection that exists already, such as one through a punched hole.
type Route struct {
	// Path is what is known of the path before Dial, which may choose a door of a relay.
	// It names the route in errors. Its kind says whether the route is direct: see
	// [Target.Routes].
	Path Path
	// Dial returns the stream to the peer. It blocks until there is one, or ctx ends. The
	// stream outlives ctx.
	Dial func(ctx context.Context) (transport.Carrier, error)
}

// Of returns the path of a connection of e, as it is now.
func Of(e *transport.Endpoint, c transport.Conn) Path {
	if p := c.Path(); p != (Path{}) {
		return p
	}
	addr, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return Path{Kind: Direct, Proto: network(c.Via())}
	}
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	p := To(e, c.Via(), addr.Addr())
	if p.Kind == Direct && c.Via() == proto.ViaQUIC {
		p.Kind = kindOf(e.StartedMux().TypeOf(addr))
	}
	if p.Kind == Direct && e.IsMapped(addr) {
		p.Kind = Mapped
	}
	return p
}

// kindOf returns the kind of a path to an address outside of this network, by the type of
// the candidate that checks have proven; "" for an address that was dialled without any.
func kindOf(t candidate.Type) Kind {
	switch t {
	case candidate.PortMapped:
		return Mapped
	case candidate.ServerReflexive, candidate.PeerReflexive:
		return Punched
	}
	return Direct
}

// To returns the path to an address over a transport, as far as the address alone tells it.
func To(e *transport.Endpoint, via string, addr netip.Addr) Path {
	p := Path{Kind: Direct, Proto: network(via) + "4"}
	if addr.Is6() {
		p.Proto = network(via) + "6"
	}
	switch {
	case e.ThroughTunnel(addr):
		p.Kind = Tunnel
	case isLAN(addr, e.Interfaces):
		p.Kind = LAN
	}
	return p
}

// OnLink reports whether a connection's peer is at an address that is this host's own or
// in the subnet of one of its interfaces, so that no router is on the way to it. It is
// false over a relay, wherever that is, and through a tunnel.
func OnLink(e *transport.Endpoint, c transport.Conn) bool {
	if c.Path() != (Path{}) {
		return false
	}
	ap, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return false
	}
	ip := ap.Addr().Unmap()
	return !e.ThroughTunnel(ip) && (ip.IsLoopback() || ip.IsLinkLocalUnicast() || inSubnet(ip, e.Interfaces))
}

// isLike reports whether two paths go over the same transport and are equally good.
func isLike(p, q Path) bool {
	return transportOf(p) == transportOf(q) && !p.Kind.Better(q.Kind) && !q.Kind.Better(p.Kind)
}

func network(via string) string {
	if via == proto.ViaQUIC {
		return "udp"
	}
	return "tcp"
}

// isLAN reports whether the path to an address is of kind [LAN].
func isLAN(addr netip.Addr, interfaces func() ([]netip.Prefix, error)) bool {
	if addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() {
		return true
	}
	return inSubnet(addr, interfaces)
}

func inSubnet(addr netip.Addr, interfaces func() ([]netip.Prefix, error)) bool {
	subnets, err := interfaces()
	return err == nil && slices.ContainsFunc(subnets, func(s netip.Prefix) bool { return s.Contains(addr.WithZone("")) })
}
