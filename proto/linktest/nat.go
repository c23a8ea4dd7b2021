package linktest

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quic-go/quic-go/testutils/simnet"

	"mesh/proto/link"
)

// Filter says from where a router lets packets in to a port that it has mapped (RFC 4787,
// section 5). Those before a host has sent the first packet are always dropped.
type Filter int

// The filters.
const (
	FromAnywhere Filter = iota // endpoint-independent
	FromHosts                  // from the hosts that the port has sent to (address-dependent)
	FromPorts                  // from the addresses and ports that it has sent to
)

// Translation is how a router translates addresses.
type Translation struct {
	// PerDestination makes another mapping for each destination (address- and
	// port-dependent, RFC 4787, section 4.1). Without it a host's port has one mapping.
	PerDestination bool
	Filter         Filter
	// Hairpin delivers what a host inside sends to a mapping of this router.
	Hairpin bool
}

// NAT is a router between some hosts, its inside, and the rest of the network. Hosts inside
// reach each other directly. It has no streams.
type NAT struct {
	translation Translation

	net     *Net
	inside  byte // the hosts inside have the addresses 10.inside.0.1 to .254
	outside net.IP
	hosts   atomic.Int32
	lan     simnet.PerfectRouter

	mu       sync.Mutex
	mappings map[mappingKey]*mapping
	ports    uint16 // the last one that is mapped
}

// mappingKey is what a mapping is made for.
type mappingKey struct{ from, to netip.AddrPort }

// mapping is a port of the router.
type mapping struct {
	router  *NAT
	outside *net.UDPAddr
	inside  *net.UDPAddr
	sentTo  map[netip.AddrPort]bool // with port 0 too: the host
}

// NAT puts a router into the network.
func (n *Net) NAT(t Translation) *NAT {
	host := n.host()
	return &NAT{translation: t, net: n, outside: host, inside: host[3], mappings: make(map[mappingKey]*mapping), ports: 40000}
}

// Conn returns the socket of a new host inside.
func (r *NAT) Conn(t testing.TB) *simnet.SimConn {
	t.Helper()
	return r.net.connVia(t, r, r.host(), 4600)
}

func (r *NAT) host() net.IP { return net.IPv4(10, r.inside, 0, byte(r.hosts.Add(1))).To4() }

// Sockets returns the sockets of a new host inside, for QUIC alone.
func (r *NAT) Sockets(t testing.TB) link.Sockets {
	t.Helper()
	host := r.host()
	return link.Sockets{
		UDP: r.net.connVia(t, r, host, 4600),
		Interfaces: func() ([]netip.Prefix, error) {
			return []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte(host)), 24)}, nil
		},
	}
}

// Forget forgets all mappings, as a router that restarts.
func (r *NAT) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.mappings {
		r.net.router.RemoveNode(m.outside)
	}
	clear(r.mappings)
}

// AddNode implements [simnet.Router] for the hosts inside.
func (r *NAT) AddNode(addr net.Addr, node simnet.PacketReceiver) { r.lan.AddNode(addr, node) }

// SendPacket implements [simnet.Router]: a host inside has sent a packet.
func (r *NAT) SendPacket(p Packet) error {
	if r.lan.SendPacket(p) == nil {
		return nil
	}
	to := addrPort(p.To)
	if to.Addr().IsPrivate() { // of another router's inside
		return nil
	}
	m := r.send(addrPort(p.From), to)
	p.From = m.outside
	if to.Addr() == addrPort(m.outside).Addr() && !r.translation.Hairpin {
		return nil
	}
	return r.net.SendPacket(p)
}

// send returns the mapping for a packet. It remembers the destination.
func (r *NAT) send(from, to netip.AddrPort) *mapping {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := mappingKey{from: from}
	if r.translation.PerDestination {
		key.to = to
	}
	m := r.mappings[key]
	if m == nil {
		r.ports++
		m = &mapping{r, &net.UDPAddr{IP: r.outside, Port: int(r.ports)}, net.UDPAddrFromAddrPort(from), make(map[netip.AddrPort]bool)}
		r.mappings[key] = m
		r.net.router.AddNode(m.outside, m)
	}
	m.sentTo[to], m.sentTo[netip.AddrPortFrom(to.Addr(), 0)] = true, true
	return m
}

// RecvPacket implements [simnet.PacketReceiver]: a packet has arrived from outside.
func (m *mapping) RecvPacket(p Packet) {
	if m.lets(addrPort(p.From)) {
		p.To = m.inside
		_ = m.router.lan.SendPacket(p)
	}
}

func (m *mapping) lets(from netip.AddrPort) bool {
	m.router.mu.Lock()
	defer m.router.mu.Unlock()
	switch m.router.translation.Filter {
	case FromHosts:
		return m.sentTo[netip.AddrPortFrom(from.Addr(), 0)]
	case FromPorts:
		return m.sentTo[from]
	}
	return true
}

// addrPort returns the address of a packet.
func addrPort(a net.Addr) netip.AddrPort {
	ap := a.(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
