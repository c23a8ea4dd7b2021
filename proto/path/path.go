package path

import (
	"net"
	"net/netip"
	"slices"

	"mesh/proto"
	"mesh/proto/transport"
)

// Path says which way the packets of a connection go. It is a value of one
// moment: the peer of a QUIC connection may move to another address.
type Path struct {
	Kind  Kind
	Proto string // "tcp4", "tcp6", "udp4" or "udp6"; to a relay "tcp" or "wss"
	Relay string // HOST:PORT or HOST of the relay; "" without one
}

// Kind is the class of a path.
type Kind string

// The kinds, the best first.
const (
	// LAN is a path within one machine or one network: the peer's address is loopback
	// (127/8, ::1), link-local (169.254/16, fe80::/10), private (10/8, 172.16/12,
	// 192.168/16 of RFC 1918; fc00::/7 of RFC 4193), or in the subnet of one of this
	// host's interfaces. A private address at the far end of a VPN counts too; an
	// address of a carrier-grade NAT (100.64/10) does not.
	LAN Kind = "lan"
	// Direct is any other path without a relay.
	Direct Kind = "direct"
	// Relay is a path through a relay, which both ends connect to.
	Relay Kind = "relay"
)

// String returns the text in receipts and events: "lan tcp4", "direct udp6",
// "relay tcp hub.example:443".
func (p Path) String() string {
	s := string(p.Kind) + " " + p.Proto
	if p.Relay != "" {
		s += " " + p.Relay
	}
	return s
}

// Of returns the path of a connection of e, as it is now.
func Of(e *transport.Endpoint, c transport.Conn) Path {
	addr, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return Path{Kind: Direct, Proto: network(c.Via())}
	}
	return To(e, c.Via(), addr.Addr().Unmap())
}

// To returns the path to an address over a transport.
func To(e *transport.Endpoint, via string, addr netip.Addr) Path {
	p := Path{Kind: Direct, Proto: network(via) + "4"}
	if addr.Is6() {
		p.Proto = network(via) + "6"
	}
	if isLAN(addr, e.Interfaces) {
		p.Kind = LAN
	}
	return p
}

// OnLink reports whether an address is this host's own or in the subnet of one of its
// interfaces, so that no router is on the way to it.
func OnLink(e *transport.Endpoint, addr net.Addr) bool {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return false
	}
	ip := ap.Addr().Unmap()
	return ip.IsLoopback() || ip.IsLinkLocalUnicast() || inSubnet(ip, e.Interfaces)
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
