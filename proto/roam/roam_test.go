package roam_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto/nat"
	"mesh/proto/roam"
)

// machine is one whose addresses and clock a test changes.
type machine struct {
	mu    sync.Mutex
	hosts []nat.Host
	err   error
	slept time.Duration
	looks int
}

func (m *machine) look() ([]nat.Host, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.looks++
	return m.hosts, m.err
}

func (m *machine) wall() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Add(m.slept)
}

func (m *machine) set(f func(*machine)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
}

func at(text string) func(*machine) {
	return func(m *machine) { m.hosts = []nat.Host{{Addr: netip.MustParseAddr(text), Interface: "eth0"}} }
}

func sleep(d time.Duration) func(*machine) { return func(m *machine) { m.slept += d } }

// A change is told after the hint of it, or without hints after the next look; a hint
// without a change is not. A sleep is told after the next look at the clocks.
func TestWatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		what   func(*machine)
		hinted bool          // the system gives hints
		within time.Duration // 0: it is no change
	}{
		{"another address", at("192.0.2.2"), true, roam.LookPause},
		{"another address, no hints", at("192.0.2.2"), false, roam.PollInterval},
		{"no address", func(m *machine) { m.hosts = nil }, true, roam.LookPause},
		{"the same address", at("192.0.2.1"), true, 0},
		{"the same address, no hints", at("192.0.2.1"), false, 0},
		{"a look fails", func(m *machine) { m.hosts, m.err = nil, errors.New("out of files") }, true, 0},
		{"a sleep", sleep(time.Hour), true, roam.ClockInterval},
		{"a sleep, no hints", sleep(time.Hour), false, roam.PollInterval},
		{"a clock set by little", sleep(roam.SleepTime - time.Second), true, 0},
		{"a clock set back", sleep(-time.Hour), true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				m := new(machine)
				m.set(at("192.0.2.1"))
				var hints chan struct{}
				if c.hinted {
					hints = make(chan struct{}, 1)
				}
				w := roam.WatchFake(ctx, m.look, m.wall, hints)
				changed := w.Next()
				quiet := time.NewTimer(time.Minute)
				select {
				case <-changed:
					t.Fatal("a change was told, and there was none")
				case <-quiet.C:
				}
				m.set(c.what)
				if c.hinted {
					hints <- struct{}{}
				}
				told := false
				select {
				case <-changed:
					told = true
				case <-time.After(c.within + time.Second):
				}
				if told != (c.within > 0) {
					t.Errorf("told %v, want %v", told, c.within > 0)
				}
				select {
				case <-w.Next():
					t.Error("one change was told twice")
				case <-time.After(time.Minute):
				}
			})
		})
	}
}

// Hints that never end, as a router of the Internet has them, cause few looks, and a change
// among them is told soon.
func TestHintsThatNeverEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		m := new(machine)
		hints := make(chan struct{}, 1)
		w := roam.WatchFake(ctx, m.look, m.wall, hints)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		end := time.After(10 * time.Second)
		for over := false; !over; {
			select {
			case <-tick.C:
				hints <- struct{}{}
			case <-end:
				over = true
			}
		}
		m.mu.Lock()
		looks, most := m.looks, int(10*time.Second/roam.LookPause)+2
		m.mu.Unlock()
		if looks > most || looks < most/2 {
			t.Errorf("got %d looks in 10 s, want at most %d, and %d at least", looks, most, most/2)
		}
		changed := w.Next()
		m.set(at("192.0.2.1"))
		begun := time.Now()
		for told := false; !told; {
			select {
			case <-tick.C:
				select {
				case hints <- struct{}{}:
				default:
				}
			case <-changed:
				told = true
			}
		}
		if took := time.Since(begun); took > roam.LookPause {
			t.Errorf("told after %s, want %s at most", took, roam.LookPause)
		}
	})
}

// When the kernel tells nothing any more, the state is looked at all the same.
func TestHintsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		m := new(machine)
		hints := make(chan struct{})
		w := roam.WatchFake(ctx, m.look, m.wall, hints)
		close(hints)
		synctest.Wait()
		changed := w.Next()
		m.set(at("192.0.2.1"))
		select {
		case <-changed:
		case <-time.After(roam.PollInterval + 1):
			t.Error("the change was not told")
		}
	})
}

// Nobody watches with a nil Watcher.
func TestNoWatcher(t *testing.T) {
	t.Parallel()
	if next := (*roam.Watcher)(nil).Next(); next != nil {
		t.Errorf("got %v, want nil", next)
	}
}
