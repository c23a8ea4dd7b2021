package link_test

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/linktest"
)

// A link over TCP breaks soon when the host loses the link's local address. A link
// whose local address was never one of the host's stays.
func TestWatchAddress(t *testing.T) {
	t.Parallel()
	for _, known := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			n := &linktest.Net{Latency: latency, TCP: true}
			s := newSite(t, n, proto.AllCaps, 1)
			cred, _ := s.issue(t, proto.CapSend, 0, 1)
			key, err := identity.NewKey()
			if err != nil {
				t.Fatal(err)
			}
			var there atomic.Bool
			there.Store(known)
			sockets := n.Sockets(t)
			sockets.Interfaces = func() ([]netip.Prefix, error) {
				addr := "192.0.2.2/24"
				if !there.Load() {
					addr = "192.0.2.200/24"
				}
				return []netip.Prefix{netip.MustParsePrefix(addr)}, nil
			}
			dl, ll := s.dial(t, n.EndpointOn(t, key, sockets), cred, proto.CapSend)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var wg sync.WaitGroup
			broken := make(chan struct{})
			wg.Go(func() {
				defer close(broken)
				dl.Watch(ctx, nil)
			})
			wg.Go(func() { _, _ = ll.Read(make([]byte, 1)) })
			failed := make(chan error, 1)
			wg.Go(func() {
				_, err := dl.Read(make([]byte, 1))
				failed <- err
			})
			select {
			case <-broken:
				t.Errorf("known %v: the link broke, and nothing had happened", known)
			case <-time.After(time.Minute):
			}
			there.Store(false)
			select {
			case <-broken:
				if err := <-failed; !known || err == nil || !strings.Contains(err.Error(), "not at 192.0.2.2 any more") {
					t.Errorf("known %v: got %v", known, err)
				}
			case <-time.After(proto.KeepAlive + 2*link.WatchInterval):
				if known {
					t.Error("the link is not broken")
				}
			}
			stop()
			dl.Close(nil)
			ll.Close(nil)
			wg.Wait()
		})
	}
}

// An end that has slept past the peer's idle timeout breaks the link at once. After a
// shorter sleep it waits as long for the peer as if it had been awake.
func TestWatchClock(t *testing.T) {
	t.Parallel()
	begun := time.Unix(1e9, 0)
	quiet := int(proto.QuietTimeout / link.WatchInterval)
	for _, c := range []struct {
		name  string
		sleep time.Duration
		heard bool // at each look
		looks int  // until it is over; 0 for never
	}{
		{"awake", link.WatchInterval, true, 0},
		{"nothing heard", link.WatchInterval, false, quiet},
		{"short sleeps", proto.IdleTimeout - 1, false, quiet},
		{"short sleeps, heard", proto.IdleTimeout - 1, true, 0},
		{"long sleep", proto.IdleTimeout, true, 1},
		{"clock set back", -time.Hour, true, 0},
		{"clock set back, nothing heard", -time.Hour, false, quiet},
	} {
		w := link.NewWatchState(begun)
		now, heard, over := begun, uint64(0), 0
		for i := range 2 * quiet {
			now = now.Add(c.sleep)
			if c.heard {
				heard++
			}
			if err := w.Check(now, heard); err != nil {
				over = i + 1
				break
			}
		}
		if over != c.looks {
			t.Errorf("%s: over at look %d, want %d", c.name, over, c.looks)
		}
	}
}
