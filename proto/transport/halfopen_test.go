package transport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"

	"mesh/proto"
)

// A full pool gives up the oldest connection of the source that has the most. The sources
// are counted anew for each step here, by their addresses.
func TestHeaviestSource(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	h := newHalfOpen()
	const most = 60
	h.silentTCP = pool{max: most, maxPerSource: 25, fewPerSource: 20}
	pool := &h.silentTCP
	addr := func() net.Addr {
		text := fmt.Sprintf("[2001:db8:%x:%x%02x::%x]:9", r.IntN(3), r.IntN(2), r.IntN(3), r.IntN(4)+1)
		if r.IntN(2) == 0 {
			text = fmt.Sprintf("192.0.2.%d:9", r.IntN(6))
		}
		return net.UDPAddrFromAddrPort(netip.MustParseAddrPort(text))
	}
	for step := range 5000 {
		if r.IntN(3) == 0 && len(pool.places) > 0 {
			pool.places[r.IntN(len(pool.places))].release()
			continue
		}
		from := addr()
		before := slices.Clone(pool.places)
		want := expected(before, must(sourcesOf(from)), pool)
		var giveUp func()
		if r.IntN(10) > 0 {
			giveUp = func() {}
		}
		_, err := h.admit(pool, from, giveUp)
		gone := slices.DeleteFunc(before, func(p *place) bool { return p.pool != nil })
		switch {
		case want == nil && (err != nil || len(gone) > 0):
			t.Fatalf("step %d: got %v and %d given up, want room", step, err, len(gone))
		case want == refused && (proto.CodeOf(err) != proto.Busy || len(gone) > 0):
			t.Fatalf("step %d: got %v and %d given up, want it refused", step, err, len(gone))
		case want != nil && want != refused && (err != nil || len(gone) != 1 || gone[0] != want):
			t.Fatalf("step %d: got %v and %d given up, want one of %v", step, err, len(gone), want.sources)
		}
	}
	for _, p := range slices.Clone(pool.places) {
		p.release()
	}
	for level, groups := range pool.groups {
		if len(groups) > 0 {
			t.Errorf("level %d: %d sources are kept of no connections", level, len(groups))
		}
	}
}

var refused = new(place)

// expected returns the place that is given up for a connection, nil if there is room.
func expected(places []*place, from sources, in *pool) *place {
	limit := in.maxPerSource
	if len(places) >= in.max/2 {
		limit = in.fewPerSource
	}
	first := len(from)
	for level := range from {
		own := slices.DeleteFunc(slices.Clone(places), func(p *place) bool { return p.sources[level] != from[level] })
		if len(own) >= limit {
			places, first = own, level
			break
		}
	}
	if first == len(from) {
		if len(places) < in.max {
			return nil
		}
		first = 0
	}
	for level := first; level < len(from); level++ {
		count := map[origin]int{}
		for _, p := range places {
			count[p.sources[level]]++
		}
		best := places[0].sources[level]
		for _, p := range places {
			if count[p.sources[level]] > count[best] {
				best = p.sources[level]
			}
		}
		places = slices.DeleteFunc(slices.Clone(places), func(p *place) bool { return p.sources[level] != best })
	}
	for _, p := range places {
		if p.giveUp != nil {
			return p
		}
	}
	return refused
}

func must(s sources, err error) sources {
	if err != nil {
		panic(err)
	}
	return s
}

// To admit a connection to a full pool takes no memory for those that are there: a flood
// of strangers is accepted one by one, and honest callers behind it.
func TestAdmitTakesLittle(t *testing.T) {
	h := newHalfOpen()
	from := make([]net.Addr, 20)
	for i := range from {
		from[i] = &net.TCPAddr{IP: net.IPv4(192, 0, 2, byte(i)), Port: 9}
	}
	i := 0
	admit := func() {
		if _, err := h.admit(&h.silentTCP, from[i%len(from)], func() {}); err != nil {
			t.Fatal(err)
		}
		i++
	}
	for range proto.MaxSilent {
		admit()
	}
	if got := testing.AllocsPerRun(100, admit); got > 10 {
		t.Errorf("got %v allocations, want 10 at most", got)
	}
}
