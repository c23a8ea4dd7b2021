package transport

import (
	"net"
	"time"
)

// Path says which way the packets of a connection go. It is a value of one
// moment: the peer of a QUIC connection may move to another address.
type Path struct {
	Kind    Kind
	Proto   string // "tcp4", "tcp6", "udp4" or "udp6"; to a relay "tcp" or "wss"
	Relay   string // HOST:PORT or HOST of the relay; "" without one
	Proxied bool   // the relay is reached through a proxy
	MaxBPS  uint64 // the relay's limit in bytes per second, as the hub says; 0 for none
}

// Kind is the class of a path.
type Kind string

// The kinds, the best first. Direct, Mapped and Punched are equally good.
const (
	// LAN is a path within one machine or one network: the peer's address is loopback
	// (127/8, ::1), link-local (169.254/16, fe80::/10), private (10/8, 172.16/12,
	// 192.168/16 of RFC 1918; fc00::/7 of RFC 4193), or in the subnet of one of this
	// host's interfaces. A private address at the far end of a VPN counts too; an
	// address of a carrier-grade NAT (100.64/10) does not.
	LAN Kind = "lan"
	// Direct is any other path without a relay.
	Direct Kind = "direct"
	// Mapped is a direct path to a port that the peer's router forwards, and Punched one
	// that both ends have opened through NATs or firewalls by sending at the same time.
	Mapped  Kind = "mapped"
	Punched Kind = "punched"
	// Tunnel is a path through a VPN of this host. What carries the packets of the VPN is
	// not known: it may be a relay.
	Tunnel Kind = "tunnel"
	// Relay is a path through a relay, which both ends connect to.
	Relay Kind = "relay"
)

// ranks orders the kinds. A kind that is not there is the worst.
var ranks = map[Kind]int{LAN: 4, Direct: 3, Mapped: 3, Punched: 3, Tunnel: 2, Relay: 1}

// Better reports whether a path of kind k is better than one of kind than.
func (k Kind) Better(than Kind) bool { return ranks[k] > ranks[than] }

// String returns the text, without the limit of a relay, in receipts and events: "lan tcp4", "punched udp6",
// "relay tcp hub.example:443", "relay wss hub.example via proxy".
func (p Path) String() string {
	s := string(p.Kind) + " " + p.Proto
	if p.Relay != "" {
		s += " " + p.Relay
	}
	if p.Proxied {
		s += " via proxy"
	}
	return s
}

// Carrier is a stream of bytes between the two ends that exists before their
// connection: what a relay has glued together. Nobody has authenticated the other end.
//
// Close of Conn ends both directions. If Conn has SetLinger(0), a Close after it must
// not tell the relay that this end has left: it is called for a connection that broke.
// CloseWrite, if Conn has it, ends one direction. If Conn has NetConn, that returns the
// connection below, whose kernel socket is asked for BBR.
type Carrier struct {
	Conn net.Conn
	Path Path
	// Source names the other end in the limits of half-open connections, in place of the
	// address of Conn, which is the relay's. Only [Endpoint.Take] reads it.
	Source string
	// LeftSince returns since when the relay says that the process at the other end has
	// ended its last connection; the zero time while it does not say so. Nil if the relay
	// never does.
	LeftSince func() time.Time
}
