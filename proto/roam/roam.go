// Package roam tells when this machine has come to another network, or has slept: a change
// after which the other ends of its connections may not hear it any more, and know it at
// addresses that are not its own.
//
// On Linux the kernel tells each change of an interface, an address or a route (rtnetlink).
// Elsewhere, and where that is forbidden, the state is looked at every few seconds.
package roam

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"mesh/proto/nat"
)

const (
	// settleTime is how long a hint of the kernel waits for those that come together with
	// it, and lookPause the least time between two looks: a router of the Internet has its
	// routes changed all the time.
	settleTime = 100 * time.Millisecond
	lookPause  = 500 * time.Millisecond
	// clockInterval is the time between two looks at the clocks, and pollInterval that
	// between two looks at the state where the kernel tells nothing.
	clockInterval = 5 * time.Second
	pollInterval  = 3 * time.Second
	// sleepTime is how far the clocks must differ for a sleep. Somebody who sets the clock
	// forward causes a change too.
	sleepTime = 4 * time.Second
	// lateTime is how late a tick must be for a sleep on systems whose two clocks go on
	// while they sleep, as on Windows. On a busy machine a tick may be seconds late.
	lateTime = 30 * time.Second
)

// Watcher tells the changes of this machine's network. Its methods may be called from
// several goroutines. A nil *Watcher tells none.
type Watcher struct {
	mu   sync.Mutex
	next chan struct{}
}

// Watch begins to watch. It ends with ctx.
func Watch(ctx context.Context) *Watcher {
	s := system{look: look, wall: time.Now, interval: clockInterval}
	hints := hint(ctx)
	if hints == nil {
		s.interval, s.polls = pollInterval, true
	}
	return s.watch(ctx, hints)
}

// Next returns a channel that is closed at the next change. Whoever calls it again before
// it handles a change misses none. The changes of one handover come together or a second
// apart: the old address goes, the new one comes.
func (w *Watcher) Next() <-chan struct{} {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next
}

func (w *Watcher) tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.next)
	w.next = make(chan struct{})
}

// system is where a Watcher looks.
type system struct {
	look     func() (state, error)
	wall     func() time.Time
	interval time.Duration // between two looks at the clocks
	polls    bool          // looks at the state each time too
}

// state is what others know of this machine: its addresses, and of those the ones from
// which it sends.
type state struct {
	hosts   []nat.Host
	sources []netip.Addr
}

func (s state) equal(o state) bool {
	return slices.Equal(s.hosts, o.hosts) && slices.Equal(s.sources, o.sources)
}

func look() (s state, err error) {
	if s.hosts, err = nat.LocalHosts(false); err != nil {
		return s, err
	}
	slices.SortFunc(s.hosts, func(a, b nat.Host) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Interface, b.Interface))
	})
	s.sources = nat.Sources()
	return s, nil
}

// watch takes each hint as a reason to look. A look that fails changes nothing.
func (s system) watch(ctx context.Context, hints <-chan struct{}) *Watcher {
	w := &Watcher{next: make(chan struct{})}
	was, err := s.look() // before Watch returns: no later change is missed
	known := err == nil
	go func() {
		changed := func() bool {
			now, err := s.look()
			if err != nil {
				return false
			}
			same := !known || now.equal(was)
			was, known = now, true
			return !same
		}
		s.run(ctx, hints, changed, w.tell)
	}()
	return w
}

// run calls tell at each change, until ctx ends.
func (s system) run(ctx context.Context, hints <-chan struct{}, changed func() bool, tell func()) {
	tick := time.NewTicker(s.interval)
	defer tick.Stop()
	settled := time.NewTimer(0)
	settled.Stop()
	defer settled.Stop()
	looked := time.Now()
	clocks := s.clocks()
	due := false // settled runs
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-hints:
			switch {
			case !ok: // the kernel tells nothing any more
				hints, s.polls = nil, true
				tick.Reset(pollInterval)
			case !due:
				due = true
				settled.Reset(max(settleTime, lookPause-time.Since(looked)))
			}
			continue
		case <-settled.C:
			due = false
		case <-tick.C:
			if s.slept(&clocks) {
				changed()
				tell()
				continue
			}
			if !s.polls {
				continue
			}
		}
		looked = time.Now()
		if changed() {
			tell()
		}
	}
}

// clocks is a moment by both clocks.
type clocks struct{ wall, running time.Time }

func (s system) clocks() clocks { return clocks{s.wall().Round(0), time.Now()} }

// slept reports whether the machine has slept since the last call. Go's monotonic clock
// stands still while Linux and macOS sleep, and the wall clock goes on.
func (s system) slept(last *clocks) bool {
	now := s.clocks()
	wall, running := now.wall.Sub(last.wall), now.running.Sub(last.running)
	*last = now
	return wall-running >= sleepTime || wall >= s.interval+lateTime
}
