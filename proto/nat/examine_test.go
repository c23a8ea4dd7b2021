package nat_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto/linktest"
	"mesh/proto/nat"
)

// small is a socket whose larger packets are lost.
type small struct {
	net.PacketConn
	size int
}

func (s small) WriteTo(b []byte, addr net.Addr) (int, error) {
	if len(b) > s.size {
		return len(b), nil
	}
	return s.PacketConn.WriteTo(b, addr)
}

// serveChanging is a STUN server with two ports, which answers from the other one when it
// is asked to.
func serveChanging(t *testing.T, n *linktest.Net) {
	t.Helper()
	var conns []net.PacketConn
	for _, addr := range servers {
		conns = append(conns, n.ConnAt(t, addr))
	}
	for i, conn := range conns {
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
				with := conn
				if nat.ChangePort(buf[:k]) {
					with = conns[1-i]
				}
				if b, ok := nat.Answer(nil, buf[:k], from.(*net.UDPAddr).AddrPort()); ok {
					_, _ = with.WriteTo(b, from)
				}
			}
		}()
	}
}

// What each kind of router does is seen from inside.
func TestExamine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		router    *linktest.Translation // nil for none
		kind      nat.Kind
		otherPort nat.Finding
		hairpin   nat.Finding
		size, mtu int
	}{
		{"open", nil, nat.Open, nat.Yes, "", 1500, 1400}, // what the simulated network carries,
		{"fullcone", &linktest.Translation{Filter: linktest.FromAnywhere}, nat.EIM, nat.Yes, nat.No, 1451, 1400},
		{"fullcone with hairpin", &linktest.Translation{Filter: linktest.FromAnywhere, Hairpin: true}, nat.EIM, nat.Yes, nat.Yes, 1400, 1400},
		{"restricted", &linktest.Translation{Filter: linktest.FromHosts}, nat.EIM, nat.Yes, nat.No, 1399, 1280},
		{"portrestricted", &linktest.Translation{Filter: linktest.FromPorts}, nat.EIM, nat.No, nat.No, 1280, 1280},
		{"portrestricted with hairpin", &linktest.Translation{Filter: linktest.FromPorts, Hairpin: true}, nat.EIM, nat.No, nat.Yes, 1279, 0},
		{"symmetric", &linktest.Translation{PerDestination: true, Filter: linktest.FromPorts}, nat.EDM, nat.No, nat.No, 1500, 1400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: 20 * time.Millisecond}
				serveChanging(t, n)
				var router *linktest.NAT
				if tt.router != nil {
					router = n.NAT(*tt.router)
				}
				var local []netip.Addr
				open := func() (net.PacketConn, error) {
					var conn net.PacketConn
					if router != nil {
						conn = router.Conn(t)
					} else {
						conn = n.Conn(t)
					}
					local = append(local, conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr())
					return small{conn, tt.size}, nil
				}
				got, err := examine(t.Context(), open, &local)
				if err != nil {
					t.Fatal(err)
				}
				if got.Kind != tt.kind || got.FromOtherPort != tt.otherPort || got.Hairpin != tt.hairpin || got.MTU != tt.mtu {
					t.Errorf("got %s, from another port %q, hairpin %q, MTU %d; want %s, %q, %q, %d", got.Kind, got.FromOtherPort, got.Hairpin, got.MTU, tt.kind, tt.otherPort, tt.hairpin, tt.mtu)
				}
				for i, s := range got.Servers {
					if s.Server != servers[i] || !s.Mapped.IsValid() || s.RTT != 40*time.Millisecond {
						t.Errorf("server %d: got %+v, want an answer of %s after 40ms", i, s, servers[i])
					}
				}
			})
		})
	}
}

// examine opens the first socket itself, to know its address.
func examine(ctx context.Context, open func() (net.PacketConn, error), local *[]netip.Addr) (nat.Findings, error) {
	first, err := open()
	if err != nil {
		return nat.Findings{}, err
	}
	again := func() (net.PacketConn, error) {
		if conn := first; conn != nil {
			first = nil
			return conn, nil
		}
		return open()
	}
	return nat.Examine(ctx, again, servers, *local, true)
}

// A network that lets no UDP out, or a server that answers at one port, is told as such, and
// in time.
func TestExamineBlocked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: 20 * time.Millisecond}
		open := func() (net.PacketConn, error) { return n.Conn(t), nil }
		began := time.Now()
		got, err := nat.Examine(t.Context(), open, servers, nil, true)
		if took := time.Since(began); err != nil || got.Kind != nat.Blocked || took > time.Second || got.MTU != 0 || got.Servers[1].Mapped.IsValid() {
			t.Errorf("nobody answers: got %+v, %v after %s", got, err, took)
		}
		serve(t, n)
		nobody := netip.MustParseAddrPort("198.51.100.2:3478")
		got, err = nat.Examine(t.Context(), open, []netip.AddrPort{nobody, servers[0]}, nil, false)
		if err != nil || got.Kind != nat.Unknown || got.Servers[0].Mapped.IsValid() || !got.Servers[1].Mapped.IsValid() || got.FromOtherPort != "" || got.MTU != 0 {
			t.Errorf("one of two answers: got %+v, %v", got, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began = time.Now()
		if _, err := nat.Examine(ctx, open, servers, nil, true); err != nil || time.Since(began) > 0 {
			t.Errorf("a context that has ended: got %v after %s", err, time.Since(began))
		}
		if _, err := nat.Examine(t.Context(), func() (net.PacketConn, error) { return nil, net.ErrClosed }, servers, nil, true); err == nil {
			t.Error("no socket: got no error")
		}
	})
}
