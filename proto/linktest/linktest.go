// Package linktest makes real links over a simulated network, for tests. Its functions
// are called inside a [testing/synctest] bubble, where time is virtual, so that a test
// may wait for minutes.
package linktest

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/token"
	"mesh/proto/wire"
)

// Packet is a datagram of the network.
type Packet = simnet.Packet

// Net is a simulated network. It delivers every packet after its latency, in
// order.
type Net struct {
	// Latency is from any host to any other.
	Latency time.Duration
	// Pass, if it is set, is called for every packet and returns whether the packet
	// is delivered. It is set before the first endpoint is made.
	Pass func(Packet) bool

	// TCP makes endpoints with TCP alone, and Both with QUIC and TCP at one address.
	// The default is QUIC alone.
	TCP, Both bool
	// SlowStreams delays the bytes of a stream by Latency. Without it only connecting
	// takes time.
	SlowStreams bool
	// Routed puts each host into a subnet of its own, so that paths are direct. Without
	// it all hosts are in one LAN.
	Routed bool
	// Dialed, if it is set, is called with the dialer's end of every stream.
	Dialed func(net.Conn)

	router simnet.PerfectRouter
	cut    atomic.Bool // packets
	held   atomic.Bool // streams
	hosts  atomic.Int32

	mu        sync.Mutex
	changed   sync.Cond // on mu: any stream, or cut
	listeners map[string]*streamListener
}

// SendPacket implements [simnet.Router].
func (n *Net) SendPacket(p Packet) error {
	if n.cut.Load() || n.Pass != nil && !n.Pass(p) {
		return nil
	}
	return n.router.SendPacket(p)
}

// AddNode implements [simnet.Router].
func (n *Net) AddNode(addr net.Addr, r simnet.PacketReceiver) { n.router.AddNode(addr, r) }

// Cut drops every packet and stops every stream until Heal, but not those to a relay.
func (n *Net) Cut() { n.setCut(true, true) }

// CutTCP stops every stream until Heal, but not those to a relay.
func (n *Net) CutTCP() { n.setCut(false, true) }

// Heal ends a Cut.
func (n *Net) Heal() { n.setCut(false, false) }

func (n *Net) setCut(packets, streams bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut.Store(packets)
	n.held.Store(streams)
	n.wakeLocked()
}

func (n *Net) wakeLocked() {
	if n.changed.L != nil {
		n.changed.Broadcast()
	}
}

// host returns a new host's address.
func (n *Net) host() net.IP { return net.IPv4(192, 0, 2, byte(n.hosts.Add(1))).To4() }

// Conn returns a new host's socket.
func (n *Net) Conn(t testing.TB) *simnet.SimConn {
	t.Helper()
	return n.conn(t, n.host())
}

// ConnAt returns a socket with an address of its own in the network.
func (n *Net) ConnAt(t testing.TB, addr netip.AddrPort) *simnet.SimConn {
	t.Helper()
	return n.connVia(t, n, addr.Addr().AsSlice(), int(addr.Port()))
}

func (n *Net) conn(t testing.TB, host net.IP) *simnet.SimConn {
	t.Helper()
	return n.connVia(t, n, host, 4600)
}

// connVia returns a socket whose packets a router takes.
func (n *Net) connVia(t testing.TB, router simnet.Router, host net.IP, port int) *simnet.SimConn {
	t.Helper()
	addr := &net.UDPAddr{IP: host, Port: port}
	sim := &simnet.Simnet{Router: router}
	conn := sim.NewEndpoint(addr, simnet.NodeBiDiLinkSettings{Latency: n.Latency})
	if err := sim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// Endpoint returns a new host with a node key of its own.
func (n *Net) Endpoint(t testing.TB) (*link.Endpoint, *identity.Key) {
	t.Helper()
	key, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return n.EndpointFor(t, key), key
}

// EndpointFor returns a new host with the given node key.
func (n *Net) EndpointFor(t testing.TB, key *identity.Key) *link.Endpoint {
	t.Helper()
	return n.EndpointOn(t, key, n.Sockets(t))
}

// Sockets returns the sockets of a new host.
func (n *Net) Sockets(t testing.TB) link.Sockets {
	t.Helper()
	var s link.Sockets
	host := n.host()
	bits := 24
	if n.Routed {
		bits = 32
	}
	s.Interfaces = func() ([]netip.Prefix, error) {
		return []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte(host)), bits)}, nil
	}
	if n.TCP || n.Both {
		l := n.listenTCP(host)
		s.TCP, s.DialTCP = l, l.dial
	}
	if !n.TCP {
		s.UDP = n.conn(t, host)
	}
	return s
}

// EndpointOn returns an endpoint with the given sockets.
func (n *Net) EndpointOn(t testing.TB, key *identity.Key, s link.Sockets) *link.Endpoint {
	t.Helper()
	e, err := link.Open(key, s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// Anyone is a guard that allows every node key everything.
type Anyone struct{}

// Find implements the guard.
func (Anyone) Find(*wire.Hello, identity.ID) (token.Admission, error) {
	return token.Admission{Caps: proto.AllCaps}, nil
}

// CheckAccess implements the guard.
func (Anyone) CheckAccess(identity.ID, *token.ID, proto.Caps) error { return nil }

// Pair returns the two ends of a link whose dialer is granted caps.
func (n *Net) Pair(t testing.TB, caps proto.Caps) (dialer, listener *link.Link) {
	t.Helper()
	return n.PairFirst(t, caps, nil)
}

// PairFirst is Pair with early data: see [link.Target].
func (n *Net) PairFirst(t testing.TB, caps proto.Caps, first func(wire.TransferID) []byte) (dialer, listener *link.Link) {
	t.Helper()
	dialing, _ := n.Endpoint(t)
	listening, key := n.Endpoint(t)
	l, err := listening.Listen(link.ListenOptions{Guard: Anyone{}, Offer: caps, Max: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if dialer != nil {
			dialer.Close(nil)
		}
		if listener != nil {
			listener.Close(nil)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	dialer, err = dialing.Dial(t.Context(), link.Target{
		ID: key.ID(), Addrs: []string{listening.Addr().String()}, Credential: token.KeyCredential(), Want: caps, Need: caps, First: first,
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err = l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return dialer, listener
}
