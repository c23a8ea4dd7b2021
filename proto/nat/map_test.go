package nat_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto/nat"
)

func addrPorts(text ...string) (list []netip.AddrPort) {
	for _, s := range text {
		a := netip.AddrPort{}
		if s != "" {
			a = netip.MustParseAddrPort(s)
		}
		list = append(list, a)
	}
	return list
}

func TestKind(t *testing.T) {
	t.Parallel()
	local := []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")}
	const a, b, mine = "198.51.100.1:1000", "198.51.100.1:1001", "192.0.2.7:4600"
	const mine6, other6 = "[2001:db8::7]:4600", "[2001:db8::8]:4600"
	for _, tt := range []struct {
		seen []netip.AddrPort
		want nat.Kind
	}{
		{addrPorts("", ""), nat.Blocked},
		{addrPorts(a, ""), nat.Unknown},
		{addrPorts(a, a), nat.EIM},
		{addrPorts("", a, a), nat.EIM},
		{addrPorts(a, b), nat.EDM},
		{addrPorts(a, a, b), nat.EDM},
		{addrPorts(a, "198.51.100.2:1000"), nat.EDM},
		{addrPorts(mine, ""), nat.Open},
		{addrPorts(mine, mine), nat.Open},
		{addrPorts(mine, a), nat.EDM},
		{addrPorts(mine6, mine6), nat.Open},
		{addrPorts("", other6, other6), nat.EIM},
		{addrPorts(mine6, a, mine6, a), nat.EIM}, // IPv4 counts
		{addrPorts(mine6, a, mine6, b), nat.EDM},
		{addrPorts(mine6, mine6, "", a), nat.Unknown},
	} {
		if got := nat.KindOf(tt.seen, local); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.seen, got, tt.want)
		}
	}
}

// How long Map takes, and what it sends.
func TestMapTimes(t *testing.T) {
	t.Parallel()
	mapped := netip.MustParseAddrPort("203.0.113.1:1234")
	for name, tt := range map[string]struct {
		answers []int // the servers that answer, after 30 ms
		ctx     time.Duration
		want    nat.Kind
		took    time.Duration
		sent    int
	}{
		"both":      {[]int{0, 1}, time.Hour, nat.EIM, 30 * time.Millisecond, 2},
		"one":       {[]int{1}, time.Hour, nat.Unknown, 330 * time.Millisecond, 4},
		"none":      {nil, time.Hour, nat.Blocked, 500 * time.Millisecond, 6},
		"no time":   {nil, 150 * time.Millisecond, nat.Unknown, 150 * time.Millisecond, 4},
		"less time": {[]int{0}, 150 * time.Millisecond, nat.Unknown, 150 * time.Millisecond, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, m := newSocket(t)
				ctx, cancel := context.WithTimeout(t.Context(), tt.ctx)
				defer cancel()
				begun := time.Now()
				done := make(chan nat.Mapping)
				go func() { done <- m.Map(ctx, servers, nil) }()
				sent := s.await(30 * time.Millisecond)
				for _, i := range tt.answers {
					answer, _ := nat.Answer(nil, sent[i].b, mapped)
					s.in <- datagram{addr: servers[i], b: answer}
				}
				got, took := <-done, time.Since(begun)
				if got.Kind != tt.want || took != tt.took {
					t.Errorf("got %s after %v, want %s after %v", got.Kind, took, tt.want, tt.took)
				}
				if want := min(1, len(tt.answers)); len(got.Addrs) != want || want > 0 && got.Addrs[0] != mapped {
					t.Errorf("got addresses %v, want %d", got.Addrs, want)
				}
				<-time.After(time.Minute)
				if n := len(sent) + len(s.await(0)); n != tt.sent {
					t.Errorf("got %d questions, want %d", n, tt.sent)
				}
			})
		})
	}
}

// await waits for a time and returns the requests that were sent since the last call.
func (s *socket) await(d time.Duration) []datagram {
	<-time.After(d)
	requests, _ := s.take()
	return requests
}

// A message that is no answer of a server that was asked changes nothing.
func TestMapForged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, m := newSocket(t)
		done := make(chan nat.Mapping)
		go func() { done <- m.Map(t.Context(), servers, nil) }()
		sent := s.await(0)
		forged, real := netip.MustParseAddrPort("203.0.113.66:1"), netip.MustParseAddrPort("203.0.113.1:1")
		answer, _ := nat.Answer(nil, sent[0].b, forged)
		s.deliver(answer, netip.MustParseAddrPort("203.0.113.66:3478"))
		s.deliver(answer, servers[1])
		guessed := slices.Clone(answer)
		guessed[19] ^= 1
		s.deliver(guessed, servers[0])
		for i, p := range sent {
			answer, _ := nat.Answer(nil, p.b, real)
			s.deliver(answer, servers[i])
			s.deliver(answer, servers[i])
		}
		if got := <-done; got.Kind != nat.EIM || len(got.Addrs) != 1 || got.Addrs[0] != real {
			t.Errorf("got %+v, want eim and %s", got, real)
		}
	})
}

// Servers of a family that the machine has no address of are not asked, and no more than 8.
func TestMapServers(t *testing.T) {
	t.Parallel()
	v4, v6 := addrPorts("198.51.100.1:3478", "[::ffff:198.51.100.1]:3478", "198.51.100.1:443"), addrPorts("[2001:db8::1]:3478", "[2001:db8::1]:443")
	for name, tt := range map[string]struct {
		local []netip.Addr
		want  []netip.AddrPort
	}{
		"unknown":         {nil, append(addrPorts("198.51.100.1:3478", "198.51.100.1:443"), v6...)},
		"IPv4":            {[]netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("::1"), netip.MustParseAddr("fe80::1")}, addrPorts("198.51.100.1:3478", "198.51.100.1:443")},
		"IPv6":            {[]netip.Addr{netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("127.0.0.1")}, v6},
		"no address here": {[]netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, m := newSocket(t)
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				m.Map(ctx, slices.Concat(v4, v6), tt.local)
				var got []netip.AddrPort
				for _, p := range s.await(0) {
					got = append(got, p.addr)
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("got questions to %v, want %v", got, tt.want)
				}
			})
		})
	}
}

// A node without UDP has no Mux.
func TestNoMux(t *testing.T) {
	t.Parallel()
	var m *nat.Mux
	if got := m.Map(t.Context(), servers, nil); got.Kind != nat.Unknown || got.Addrs != nil {
		t.Errorf("got %+v, want unknown", got)
	}
	if got := m.TypeOf(at); got != "" {
		t.Errorf("got type %q, want none", got)
	}
}
