package link_test

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/path"
)

// changes are those of a machine's network, as package roam tells them.
type changes struct {
	mu   sync.Mutex
	next chan struct{}
}

func newChanges() *changes { return &changes{next: make(chan struct{})} }

func (c *changes) Next() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next
}

func (c *changes) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.next)
	c.next = make(chan struct{})
}

// After a change of the network a link that is silent is given up soon, and at once if its
// address is gone. One whose peer is heard lives on, however long it is idle.
func TestWatchAfterChange(t *testing.T) {
	t.Parallel()
	const soon = proto.KeepAlive + 250*time.Millisecond + 2*latency + link.WatchInterval
	for _, c := range []struct {
		name     string
		cut      bool
		gone     bool // the address
		from, to time.Duration
	}{
		{"nothing else", false, false, 0, 0},
		{"nothing heard", true, false, proto.KeepAlive, soon},
		{"the address is gone", true, true, 0, time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				s := newSite(t, n, proto.AllCaps, 1)
				cred, _ := s.issue(t, proto.CapSend, 0, 1)
				key, err := identity.NewKey()
				if err != nil {
					t.Fatal(err)
				}
				var gone atomic.Bool
				sockets := n.Sockets(t)
				sockets.Interfaces = func() ([]netip.Prefix, error) {
					if gone.Load() {
						return nil, nil
					}
					return []netip.Prefix{netip.MustParsePrefix("192.0.2.2/24")}, nil
				}
				e, network := n.EndpointOn(t, key, sockets), newChanges()
				e.Changed = network.Next
				dl, ll := s.dial(t, e, cred, proto.CapSend)
				ctx, stop := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				over := make(chan struct{})
				wg.Go(func() {
					defer close(over)
					dl.Watch(ctx, nil)
				})
				wg.Go(func() { _, _ = ll.Read(make([]byte, 1)) })
				wg.Go(func() { _, _ = dl.Read(make([]byte, 1)) })
				<-time.After(time.Minute + proto.KeepAlive/2) // no keep-alive is on its way
				if c.cut {
					n.Cut()
				}
				gone.Store(c.gone)
				begun := time.Now()
				network.tell()
				select {
				case <-over:
					if took := time.Since(begun); c.to == 0 || took < c.from || took > c.to {
						t.Errorf("broke after %s, want after %s to %s", took, c.from, c.to)
					}
				case <-time.After(time.Minute):
					if c.to > 0 {
						t.Error("the link is not broken")
					}
				}
				stop()
				dl.Close(nil)
				ll.Close(nil)
				wg.Wait()
			})
		})
	}
}

// After a change of the network better paths are looked for at once, and then as at the
// start of a link.
func TestImproveAfterChange(t *testing.T) {
	t.Parallel()
	relayedPair(t, func(t *testing.T, n *linktest.Net, p linktest.Relayed) {
		network := newChanges()
		p.From.Changed = network.Next
		n.Cut()
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Minute)
		defer cancel()
		time.AfterFunc(2*time.Minute, network.tell)
		if moves := carry(ctx, t, p); len(moves) > 0 {
			t.Errorf("moved %d times, want no move", len(moves))
		}
		const changed = 2 * time.Minute
		wantTimes(t, "a relayed link", begun, p.Meeting.Asked(), 0, 5*time.Second, 15*time.Second, 30*time.Second, time.Minute,
			changed, changed+5*time.Second, changed+15*time.Second, changed+30*time.Second, changed+time.Minute, changed+6*time.Minute)
	})
}

// A link that falls because of a change of the network has not failed: a better path is
// looked for at once, and as at the start.
func TestFallAfterChange(t *testing.T) {
	t.Parallel()
	relayedPair(t, func(t *testing.T, n *linktest.Net, p linktest.Relayed) {
		network := newChanges()
		p.From.Changed = network.Next
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { carry(ctx, t, p) })
		for p.Dialer.Latest().Path().Kind != path.LAN {
			<-time.After(100 * time.Millisecond)
		}
		<-time.After(time.Minute)
		n.Cut()
		network.tell()
		for p.Dialer.Latest().Path().Kind == path.LAN {
			<-time.After(100 * time.Millisecond)
		}
		n.Heal()
		fell := time.Now()
		for p.Dialer.Latest().Path().Kind != path.LAN {
			<-time.After(100 * time.Millisecond)
		}
		if took := time.Since(fell); took > time.Second {
			t.Errorf("direct again after %s, want at once", took)
		}
		cancel()
		wg.Wait()
	})
}

// A flow that ends with a change of the network says nothing about a later fall of the
// primary link: that link falls for another reason, and the better path gets a pause.
func TestFallLongAfterChange(t *testing.T) {
	t.Parallel()
	relayedPair(t, func(t *testing.T, n *linktest.Net, p linktest.Relayed) {
		network := newChanges()
		p.From.Changed = network.Next
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n.CutTCP() // the better path is one over QUIC
		var wg sync.WaitGroup
		wg.Go(func() { carry(ctx, t, p) })
		for p.Dialer.Latest().Path().Kind != path.LAN {
			<-time.After(100 * time.Millisecond)
		}
		<-time.After(time.Minute)
		n.Heal()
		flow, err := p.Dialer.Latest().AddFlow(ctx, proto.ViaTCP)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { flow.Watch(ctx, nil) })
		synctest.Wait()
		n.CutTCP()
		network.tell()
		_, _ = flow.Read(make([]byte, 1)) // until the flow breaks
		n.Heal()
		<-time.After(time.Minute)
		n.Cut()
		for p.Dialer.Latest().Path().Kind == path.LAN {
			<-time.After(100 * time.Millisecond)
		}
		n.Heal()
		fell := time.Now()
		for p.Dialer.Latest().Path().Kind != path.LAN {
			<-time.After(100 * time.Millisecond)
		}
		if took := time.Since(fell); took < 4*time.Second {
			t.Errorf("direct again after %s, want a pause of 5 s", took)
		}
		cancel()
		wg.Wait()
	})
}
