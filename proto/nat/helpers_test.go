package nat_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto/candidate"
	"mesh/proto/linktest"
	"mesh/proto/nat"
)

// The two ports of the STUN server in the simulated network.
var servers = []netip.AddrPort{netip.MustParseAddrPort("198.51.100.1:443"), netip.MustParseAddrPort("198.51.100.1:3478")}

// serve answers STUN requests at both ports until the test ends.
func serve(t *testing.T, n *linktest.Net) {
	t.Helper()
	for _, addr := range servers {
		conn := n.ConnAt(t, addr)
		done := make(chan struct{})
		t.Cleanup(func() { conn.Close(); <-done })
		go func() {
			defer close(done)
			buf := make([]byte, nat.MaxSTUNBytes)
			for {
				k, from, err := conn.ReadFrom(buf)
				if err != nil {
					return
				}
				if b, ok := nat.Answer(nil, buf[:k], from.(*net.UDPAddr).AddrPort()); ok {
					_, _ = conn.WriteTo(b, from)
				}
			}
		}()
	}
}

// node is a host with a Mux.
type node struct {
	*nat.Mux
	host netip.AddrPort // the address of its interface
}

// newNode reads STUN at a socket, beside QUIC.
func newNode(t *testing.T, conn net.PacketConn) *node {
	t.Helper()
	tr := &quic.Transport{Conn: conn}
	m := nat.NewMux(tr)
	t.Cleanup(func() {
		m.Close()
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	return &node{m, conn.LocalAddr().(*net.UDPAddr).AddrPort()}
}

// candidates asks the servers and returns what the node tells its peer.
func (n *node) candidates(t *testing.T) (nat.Kind, []candidate.Candidate) {
	t.Helper()
	m := n.Map(t.Context(), servers, []netip.Addr{n.host.Addr()})
	list := []candidate.Candidate{candidate.At(candidate.Host, candidate.UDP, n.host, 0)}
	for _, a := range m.Addrs {
		list = append(list, candidate.At(candidate.ServerReflexive, candidate.UDP, a, 0))
	}
	return m.Kind, list
}

// sessions returns both ends of a session.
func sessions() (dialer, listener nat.Session) {
	dialer = nat.Session{ID: [16]byte{1, 2, 3}, Own: [32]byte{1}, Peer: [32]byte{2}, Dialer: true}
	return dialer, nat.Session{ID: dialer.ID, Own: dialer.Peer, Peer: dialer.Own}
}

// within returns the first pair that is proven before the time is over.
func within(c *nat.Checker, d time.Duration) (nat.Pair, bool) {
	select {
	case p, ok := <-c.Proven():
		return p, ok
	case <-time.After(d):
		return nat.Pair{}, false
	}
}

// socket is a socket whose packets a test sees and makes.
type socket struct {
	in chan datagram

	mu   sync.Mutex
	sent []datagram
}

type datagram struct {
	addr netip.AddrPort // the source or the destination
	b    []byte
	at   time.Time
}

// newSocket returns a socket with a Mux.
func newSocket(t testing.TB) (*socket, *nat.Mux) {
	s := &socket{in: make(chan datagram)}
	m := nat.NewMux(s)
	t.Cleanup(m.Close)
	return s, m
}

func (s *socket) ReadNonQUICPacket(ctx context.Context, b []byte) (int, net.Addr, error) {
	select {
	case p := <-s.in:
		return copy(b, p.b), net.UDPAddrFromAddrPort(p.addr), nil
	case <-ctx.Done():
		return 0, nil, ctx.Err()
	}
}

func (s *socket) WriteTo(b []byte, addr net.Addr) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, datagram{addr.(*net.UDPAddr).AddrPort(), slices.Clone(b), time.Now()})
	return len(b), nil
}

// deliver makes a packet arrive. It returns when that is handled.
func (s *socket) deliver(b []byte, from netip.AddrPort) {
	s.in <- datagram{addr: from, b: b}
	synctest.Wait()
}

// take returns what was sent since the last call: the requests and the answers.
func (s *socket) take() (requests, answers []datagram) {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.sent {
		if p.b[0] == 0 {
			requests = append(requests, p)
		} else {
			answers = append(answers, p)
		}
	}
	s.sent = nil
	return requests, answers
}

// inAnySecond returns the most packets and bytes that were sent within one second.
func inAnySecond(sent []datagram) (packets, size int) {
	first, sum := 0, 0
	for i, p := range sent {
		sum += len(p.b)
		for ; p.at.Sub(sent[first].at) >= time.Second; first++ {
			sum -= len(sent[first].b)
		}
		packets, size = max(packets, i-first+1), max(size, sum)
	}
	return packets, size
}

// udpAt returns a candidate.
func udpAt(addr string) candidate.Candidate {
	return candidate.At(candidate.Host, candidate.UDP, netip.MustParseAddrPort(addr), 0)
}
