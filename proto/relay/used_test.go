package relay_test

import (
	"io"
	"sync/atomic"
	"testing"
	"time"

	"mesh/proto/relay"
)

// Two nodes have used up the bytes of a session when all their sessions have, in whatever
// direction they dial, and for an hour. Others have not.
func TestSpent(t *testing.T) {
	t.Parallel()
	const limit = 256 << 10
	var later atomic.Int64
	begun := time.Now()
	r := start(t, relay.Options{Bytes: limit, Now: func() time.Time { return begun.Add(time.Duration(later.Load())) }}, relay.Limits{})
	spent := func(want bool, what string) {
		t.Helper()
		d, l := r.dialer.ID(), r.listener.ID()
		if got := [2]bool{r.server.Spent(d, l), r.server.Spent(l, d)}; got != [2]bool{want, want} {
			t.Errorf("%s: spent is %v, want %v", what, got, want)
		}
		if r.server.Spent(d, newKey(t).ID()) {
			t.Errorf("%s: a node that has moved nothing has used up its bytes", what)
		}
	}
	move := func(session byte, n int) {
		t.Helper()
		d, l := r.pair(session)
		go func() { _, _ = d.Write(make([]byte, n)) }()
		if _, err := io.ReadFull(l, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		d.Close()
		l.Close()
	}
	spent(false, "at first")
	move(1, limit/2)
	spent(false, "after half of it")
	r.dialer, r.listener = r.listener, r.dialer
	move(2, limit/2-1)
	spent(false, "one byte before the limit")
	move(3, 1)
	spent(true, "at the limit")
	later.Store(int64(relay.UsedFor - time.Second))
	spent(true, "a second before the hour is over")
	later.Store(int64(relay.UsedFor))
	spent(false, "after an hour")
	move(4, limit)
	spent(true, "after a session that was too long")
}

// A relay without a limit of bytes counts none for nodes.
func TestNeverSpent(t *testing.T) {
	t.Parallel()
	r := start(t, relay.Options{}, relay.Limits{})
	d, l := r.pair(1)
	go func() { _, _ = d.Write(make([]byte, 1<<20)) }()
	if _, err := io.ReadFull(l, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if r.server.Spent(r.dialer.ID(), r.listener.ID()) || relay.Couples(r.server) != 0 {
		t.Errorf("without a limit, the nodes have used up their bytes, or %d couples are counted", relay.Couples(r.server))
	}
}

// What a relay remembers of nodes has a bound: those that have moved least are forgotten.
func TestCouplesAreFew(t *testing.T) {
	t.Parallel()
	const most = 8
	r := start(t, relay.Options{Bytes: 1 << 10}, relay.Limits{Couples: most})
	move := func(session byte, n int) {
		d, l := r.pair(session)
		go func() { _, _ = d.Write(make([]byte, n)) }()
		if _, err := io.ReadFull(l, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
	first, second := r.dialer, r.listener
	move(1, 1<<10)
	for i := range 3 * most {
		r.dialer, r.listener = newKey(t), newKey(t)
		move(byte(2+i), 1+i%5)
		if n := relay.Couples(r.server); n > most {
			t.Fatalf("%d couples are counted, want %d at most", n, most)
		}
	}
	if !r.server.Spent(first.ID(), second.ID()) {
		t.Error("the nodes that have used up their bytes were forgotten")
	}
}
