// Package candidate has the candidates of a node: the addresses at which it may
// be reached, after RFC 8445 (ICE). It is pure: it sends nothing and looks
// nothing up.
//
// A candidate is a hint where to dial. It proves nothing: a node with another key
// may answer there.
package candidate

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Type says how a candidate became known.
type Type string

// The types, the preferred ones first.
const (
	Host            Type = "host"        // the address of an interface
	PeerReflexive   Type = "prflx"       // the source of a packet that the peer received
	PortMapped      Type = "port-mapped" // a port that the router forwards (UPnP, NAT-PMP)
	ServerReflexive Type = "srflx"       // the source of a packet as a STUN server saw it
	Relay           Type = "relay"       // a relay that both ends connect to
)

// preferences are the type preferences of RFC 8445, section 5.1.2.
var preferences = map[Type]uint32{Host: 126, PeerReflexive: 112, PortMapped: 110, ServerReflexive: 100, Relay: 0}

// Proto is what carries the packets to a candidate.
type Proto string

// The protocols. Only a relay is reached over WSS.
const (
	UDP Proto = "udp"
	TCP Proto = "tcp"
	WSS Proto = "wss" // WebSocket over TLS
)

// MaxTextBytes bounds the text form.
const MaxTextBytes = 255

// Candidate is one way to reach a node.
type Candidate struct {
	Type  Type
	Proto Proto
	// Addr is IP:PORT. A relay's is HOST:PORT for TCP and a wss URL for WSS.
	Addr string
	// Priority is an order among candidates: the highest is preferred.
	Priority uint32
}

// At returns the candidate of a type at an address, with a local preference, which
// orders candidates of one type.
func At(t Type, p Proto, addr netip.AddrPort, local uint16) Candidate {
	return Candidate{t, p, addr.String(), Priority(t, local)}
}

// Priority returns the priority of RFC 8445, section 5.1.2.1, with component 1.
func Priority(t Type, local uint16) uint32 {
	return preferences[t]<<24 | uint32(local)<<8 | 255
}

// AddrPort returns the address of a candidate that is no relay.
func (c Candidate) AddrPort() (netip.AddrPort, bool) {
	if c.Type == Relay {
		return netip.AddrPort{}, false
	}
	a, err := netip.ParseAddrPort(c.Addr)
	return a, err == nil
}

// String returns the text form, also of a candidate that [Parse] refuses.
func (c Candidate) String() string { return string(c.AppendText(nil)) }

// AppendText appends the text form: type, protocol, address and priority with a
// space between them. For example:
//
//	host udp 192.0.2.7:4600 2130706431
func (c Candidate) AppendText(b []byte) []byte {
	return fmt.Appendf(b, "%s %s %s %d", c.Type, c.Proto, c.Addr, c.Priority)
}

// Parse reads the text form. Each candidate has exactly one.
func Parse(text string) (Candidate, error) {
	if len(text) > MaxTextBytes {
		return Candidate{}, fmt.Errorf("candidate of %d bytes, the limit is %d", len(text), MaxTextBytes)
	}
	f := strings.Split(text, " ")
	if len(f) != 4 {
		return Candidate{}, fmt.Errorf("candidate %q: want TYPE PROTO ADDR PRIORITY", text)
	}
	n, err := strconv.ParseUint(f[3], 10, 32)
	if err != nil || strconv.FormatUint(n, 10) != f[3] {
		return Candidate{}, fmt.Errorf("candidate %q: priority %q: want a number of 32 bits", text, f[3])
	}
	c := Candidate{Type(f[0]), Proto(f[1]), f[2], uint32(n)}
	if err := c.check(); err != nil {
		return Candidate{}, fmt.Errorf("candidate %q: %w", text, err)
	}
	return c, nil
}

func (c Candidate) check() error {
	if _, ok := preferences[c.Type]; !ok {
		return fmt.Errorf("unknown type %q", c.Type)
	}
	switch {
	case c.Type == Relay && c.Proto == TCP:
		return checkHostPort(c.Addr)
	case c.Type == Relay && c.Proto == WSS:
		return checkURL(c.Addr)
	case c.Type != Relay && (c.Proto == UDP || c.Proto == TCP):
		return checkIPPort(c.Addr)
	}
	return fmt.Errorf("unknown protocol %q for type %s", c.Proto, c.Type)
}

// checkIPPort accepts one spelling of each address: no zone, which means nothing to
// another machine, and no IPv4 address mapped into IPv6.
func checkIPPort(s string) error {
	a, err := netip.ParseAddrPort(s)
	if err != nil || a.String() != s || a.Addr().Zone() != "" || a.Addr().Is4In6() || a.Port() == 0 {
		return fmt.Errorf("address %q: want IP:PORT", s)
	}
	return nil
}

func checkHostPort(s string) error {
	if checkIPPort(s) == nil {
		return nil
	}
	host, port, ok := strings.Cut(s, ":")
	n, err := strconv.ParseUint(port, 10, 16)
	if !ok || err != nil || n == 0 || strconv.FormatUint(n, 10) != port || !isHostName(host) {
		return fmt.Errorf("address %q: want HOST:PORT", s)
	}
	return nil
}

// isHostName reports whether s is a host name in lower case (RFC 1123, section
// 2.1) and not an IPv4 address, or what some resolvers take for one.
func isHostName(s string) bool {
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	last := labels[len(labels)-1]
	return last[0] < '0' || last[0] > '9'
}

func checkURL(s string) error {
	bad := fmt.Errorf("address %q: want a wss URL", s)
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "wss" || u.String() != s || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return bad
	}
	for _, r := range s {
		if r <= ' ' || r > '~' {
			return bad
		}
	}
	addr := u.Host
	if u.Port() == "" {
		addr += ":443"
	}
	if checkHostPort(addr) != nil {
		return bad
	}
	return nil
}
