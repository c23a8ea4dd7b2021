package node_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/hubtest"
	"mesh/proto/identity"
	"mesh/proto/nat"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

// stunServers returns the addresses of two STUN servers at loopback, over UDP and TCP.
func stunServers(t *testing.T) []string {
	t.Helper()
	s := nat.NewServer(nil)
	t.Cleanup(s.Close)
	var sockets []net.PacketConn
	var addrs []string
	for len(addrs) < 2 {
		u, err := net.ListenPacket("udp", loopback)
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", u.LocalAddr().String())
		if err != nil { // another process has the port
			_ = u.Close()
			continue
		}
		t.Cleanup(func() { _ = l.Close() })
		sockets, addrs = append(sockets, u), append(addrs, l.Addr().String())
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go s.ServeTCP(c, netip.MustParseAddrPort(c.RemoteAddr().String()))
			}
		}()
	}
	go s.ServeUDP(t.Context(), sockets...)
	return addrs
}

// hidden is a node that tells its peers no address of its own, so that a peer finds it by
// holes alone.
func hidden(stun []string) func(*node.Options) {
	return func(o *node.Options) { o.Reach = node.Reach{Hide: true, STUN: stun} }
}

// punchHub is a hub that offers no relay.
func punchHub(t *testing.T, alter func(to identity.ID, e hub.Event) []hub.Event) *hubtest.Liar {
	t.Helper()
	l, err := hubtest.OpenLiar(alter)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Stop)
	return l
}

func asTold(_ identity.ID, e hub.Event) []hub.Event { return []hub.Event{e} }

// Two nodes that know no address of each other link through holes, over each transport.
func TestPunchedLink(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ via, want string }{
		{"auto", ""}, {"direct", ""}, {"quic", "udp4"}, {"tcp", "punched tcp4"}, {"tcp,direct", "punched tcp4"},
	} {
		t.Run(tt.via, func(t *testing.T) {
			t.Parallel()
			h, stun := punchHub(t, asTold), stunServers(t)
			bob := newNode(t, both(at("", h.URL()), hidden(stun)))
			alice := newNode(t, both(at("hub", h.URL()), both(hidden(stun), via(t, tt.via))))
			allow(t, bob, alice, proto.CapSend)
			links := accept(t, bob.online(t, listening("bob")))
			dialed, err := alice.dialText(t, "bob", send)
			if err != nil {
				t.Fatal(err)
			}
			accepted := <-links
			if got := dialed.Path().String(); !strings.HasSuffix(got, tt.want) || strings.HasPrefix(got, "relay") {
				t.Errorf("got the path %q, want one without a relay that ends with %q", got, tt.want)
			}
			closeBoth(dialed, accepted)
		})
	}
}

// Nobody punches where a path with a hole is not allowed, at either end, and where no STUN
// server is known: no list of candidates is told.
func TestNoPunching(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, dialer, listener string
		stun                   bool
	}{
		{"the dialer wants a LAN", "lan", "auto", true},
		{"the listener wants a LAN", "auto", "lan", true},
		{"no STUN server", "auto", "auto", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			told := make(chan identity.ID, 16)
			h := punchHub(t, func(to identity.ID, e hub.Event) []hub.Event {
				if e.Type == hub.TypeCandidates {
					told <- to
				}
				return []hub.Event{e}
			})
			var stun []string
			if tt.stun {
				stun = stunServers(t)
			}
			bob := newNode(t, both(at("", h.URL()), both(hidden(stun), via(t, tt.listener))))
			alice := newNode(t, both(at("hub", h.URL()), both(hidden(stun), via(t, tt.dialer))))
			allow(t, bob, alice, proto.CapSend)
			bob.online(t, listening("bob"))
			_, err := alice.dialText(t, "bob", send)
			xtest.WantCode(t, "dial", err, proto.Unreachable)
			select {
			case to := <-told:
				t.Errorf("a list of candidates was told to %s", to.Short())
			default:
			}
		})
	}
}

// withoutHole returns a node that finds its peer bob at a hub, but no path to it: the hub
// passes no lists of candidates on.
func withoutHole(t *testing.T) *testNode {
	t.Helper()
	h, stun := punchHub(t, func(_ identity.ID, e hub.Event) []hub.Event {
		if e.Type == hub.TypeCandidates {
			return nil
		}
		return []hub.Event{e}
	}), stunServers(t)
	bob := newNode(t, both(at("", h.URL()), hidden(stun)))
	alice := newNode(t, both(at("hub", h.URL()), hidden(stun)))
	allow(t, bob, alice, proto.CapSend)
	bob.online(t, listening("bob"))
	return alice
}

// A dial that finds no hole ends, although the peer is at the hub.
func TestNoHole(t *testing.T) {
	t.Parallel()
	alice := withoutHole(t)
	begun := time.Now()
	_, err := alice.dialText(t, "bob", send)
	xtest.WantCode(t, "dial", err, proto.Unreachable)
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("the dial took %s", took)
	}
}
