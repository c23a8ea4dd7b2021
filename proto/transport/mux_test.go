package transport_test

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/nat"
	"mesh/proto/token"
	"mesh/proto/udp"
)

// checkers returns both ends of a session at two endpoints.
func checkers(dialing, listening *link.Endpoint) (dialer, listener *nat.Checker) {
	s := nat.Session{ID: [16]byte{1}, Own: [32]byte{1}, Peer: [32]byte{2}, Dialer: true, Local: true}
	other := nat.Session{ID: s.ID, Own: s.Peer, Peer: s.Own, Local: true}
	return dialing.Mux().Check(s), listening.Mux().Check(other)
}

func newKey(t *testing.T) *identity.Key {
	t.Helper()
	key, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// connected makes a link to an address, over QUIC.
func connected(ctx context.Context, t *testing.T, dialing, listening *link.Endpoint, id identity.ID, addr netip.AddrPort) error {
	t.Helper()
	l, err := listening.Listen(link.ListenOptions{Guard: linktest.Anyone{}, Offer: proto.AllCaps, Max: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	caps := proto.AllCaps
	dialed, err := dialing.Dial(ctx, link.Target{ID: id, Addrs: []string{addr.String()}, Credential: token.KeyCredential(), Want: caps, Need: caps})
	if err != nil {
		return err
	}
	defer dialed.Close(nil)
	accepted, err := l.Accept(ctx)
	if err != nil {
		return err
	}
	defer accepted.Close(nil)
	return nil
}

// STUN and QUIC share real sockets: one of each family alone and one of both, in which
// IPv4 addresses arrive in their IPv6 form.
func TestMuxBesideQUIC(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ listen, ip string }{
		"IPv4":            {"127.0.0.1:0", "127.0.0.1"},
		"IPv6":            {"[::1]:0", "::1"},
		"IPv4 among both": {"[::]:0", "127.0.0.1"},
		"IPv6 among both": {"[::]:0", "::1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := newKey(t)
			var ends []*link.Endpoint
			var lists [][]candidate.Candidate
			for _, k := range []*identity.Key{newKey(t), key} {
				conn, err := udp.Listen(tt.listen)
				if err != nil {
					t.Skip(err)
				}
				ends = append(ends, (&linktest.Net{}).EndpointOn(t, k, link.Sockets{UDP: conn}))
				port := conn.LocalAddr().(*net.UDPAddr).Port
				addr := netip.AddrPortFrom(netip.MustParseAddr(tt.ip), uint16(port))
				lists = append(lists, []candidate.Candidate{candidate.At(candidate.Host, candidate.UDP, addr, 0)})
			}
			dialer, listener := checkers(ends[0], ends[1])
			dialer.Remote(0, lists[1])
			listener.Remote(0, lists[0])
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for i, c := range []*nat.Checker{dialer, listener} {
				want, _ := lists[1-i][0].AddrPort()
				select {
				case p := <-c.Proven():
					if p.Addr != want || p.Type != candidate.Host || p.RTT <= 0 {
						t.Errorf("got %+v, want %s as a host", p, want)
					}
				case <-ctx.Done():
					t.Fatal("got no pair")
				}
				if got := ends[i].Mux().TypeOf(want); got != candidate.Host {
					t.Errorf("type of %s: got %q, want host", want, got)
				}
			}
			at, _ := lists[1][0].AddrPort()
			if err := connected(ctx, t, ends[0], ends[1], key.ID(), at); err != nil {
				t.Errorf("dial %s: %v", at, err)
			}
		})
	}
}

// A link through two routers that let in only what was asked for, over the pair that the
// checks have proven, and over nothing without them.
func TestPunchedLink(t *testing.T) {
	t.Parallel()
	for _, punch := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			n := &linktest.Net{Latency: 20 * time.Millisecond}
			router := linktest.Translation{Filter: linktest.FromPorts}
			key := newKey(t)
			dialing := n.EndpointOn(t, newKey(t), n.NAT(router).Sockets(t))
			listening := n.EndpointOn(t, key, n.NAT(router).Sockets(t))
			server := n.ConnAt(t, netip.MustParseAddrPort("198.51.100.1:3478"))
			go answer(server)
			defer server.Close()
			dialer, listener := checkers(dialing, listening)
			if punch {
				listener.Remote(0, mapped(t, dialing))
			}
			list := mapped(t, listening)
			at, _ := list[0].AddrPort()
			if punch {
				dialer.Remote(0, list)
				if p := <-dialer.Proven(); p.Addr != at {
					t.Errorf("got a pair with %s, want %s", p.Addr, at)
				}
			}
			if err := connected(t.Context(), t, dialing, listening, key.ID(), at); (err == nil) != punch {
				t.Errorf("with checks %v: got %v", punch, err)
			}
		})
	}
}

// answer answers STUN requests until the socket is closed.
func answer(conn net.PacketConn) {
	buf := make([]byte, nat.MaxSTUNBytes)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if b, ok := nat.Answer(nil, buf[:n], from.(*net.UDPAddr).AddrPort()); ok {
			_, _ = conn.WriteTo(b, from)
		}
	}
}

// mapped returns the candidates that an endpoint learns from the server.
func mapped(t *testing.T, e *link.Endpoint) (list []candidate.Candidate) {
	t.Helper()
	m := e.Mux().Map(t.Context(), []netip.AddrPort{netip.MustParseAddrPort("198.51.100.1:3478")}, nil)
	for _, a := range m.Addrs {
		list = append(list, candidate.At(candidate.ServerReflexive, candidate.UDP, a, 0))
	}
	if len(list) != 1 {
		t.Fatalf("got %+v, want one address", m)
	}
	return list
}

// An endpoint without UDP has no Mux, and one that was closed stops its own.
func TestMux(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tcp, _ := (&linktest.Net{TCP: true}).Endpoint(t)
		if got := tcp.Mux(); got != nil {
			t.Errorf("without UDP: got %v, want nil", got)
		}
		n := &linktest.Net{}
		s := n.Sockets(t)
		e, err := link.Open(newKey(t), s, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		c := e.Mux().Check(nat.Session{})
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if _, ok := <-c.Proven(); ok {
			t.Error("got a pair, want a closed channel")
		}
		if _, ok := <-e.Mux().Check(nat.Session{}).Proven(); ok {
			t.Error("after Close: got a pair, want a closed channel")
		}
	})
}
