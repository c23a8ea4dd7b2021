package nat_test

import (
	"net"
	"net/netip"
	"testing"
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
