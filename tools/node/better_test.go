package node_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto/candidate"
	"mesh/proto/path"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

// A link whose direct path is gone, and that goes on over a relay, has no session in which to
// look for holes. The hubs are asked for another one as soon as a better path is looked for, and
// what they answer is dialled in the same attempt. They are not asked on a direct path, nor
// again after an answer, and soon again after a question without an answer.
func TestBetterAsksHubs(t *testing.T) {
	t.Parallel()
	const slow = 700 * time.Millisecond
	at := candidate.At(candidate.Host, candidate.UDP, netip.MustParseAddrPort("192.0.2.9:4600"), 1)
	type attempt struct {
		begins time.Duration
		than   path.Kind
		finds  time.Duration // from the start of the test; 0 for nothing
	}
	for _, tt := range []struct {
		name     string
		failures int
		attempts []attempt
		want     []time.Duration // when the hubs are asked
	}{
		{"a direct path", 0, []attempt{{0, path.Direct, 0}, {5 * time.Second, path.Punched, 0}, {6 * time.Second, path.LAN, 0}}, nil},
		{"a relay", 0, []attempt{{0, path.Relay, slow}, {5 * time.Second, path.Relay, 5 * time.Second}}, []time.Duration{0}},
		{
			"hubs that do not answer at first", 1,
			[]attempt{{0, path.Relay, 0}, {time.Second, path.Relay, 0}, {5 * time.Second, path.Relay, 5*time.Second + slow}},
			[]time.Duration{0, 5 * time.Second},
		},
		{
			"a question that is under way", 0,
			[]attempt{{0, path.Relay, slow}, {slow / 2, path.Relay, slow}},
			[]time.Duration{0},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				var asked []time.Duration
				m := node.MeetingOf(xtest.NewKey(t).ID(), func() ([]candidate.Candidate, error) {
					asked = append(asked, time.Since(begun))
					<-time.After(slow)
					if len(asked) <= tt.failures {
						return nil, errors.New("no answer")
					}
					return []candidate.Candidate{at}, nil
				})
				var wg sync.WaitGroup
				for _, a := range tt.attempts {
					wg.Go(func() {
						<-time.After(a.begins)
						ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
						defer cancel()
						list, _ := m.Better(ctx, a.than)
						var got time.Duration
						for c := range list {
							if got == 0 && c == at {
								got = time.Since(begun)
							}
						}
						if got != a.finds {
							t.Errorf("the attempt at %s: a candidate after %s, want %s", a.begins, got, a.finds)
						}
					})
				}
				wg.Wait()
				if !slices.Equal(asked, tt.want) {
					t.Errorf("the hubs were asked at %v, want %v", asked, tt.want)
				}
			})
		})
	}
}

// The local networks are asked for a better path, with a hub and without one, but not again
// within 5 s, and never against the settings.
func TestBetterAsksLAN(t *testing.T) {
	t.Parallel()
	needLAN(t)
	listener := newNode(t, func(o *node.Options) { o.Listen = ":0" })
	listener.wait(t, oneToken())
	stale := staleAddr(t, listener)
	for _, tt := range []struct{ hubs, off bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
		t.Run(fmt.Sprintf("hubs %v, lan %v", tt.hubs, !tt.off), func(t *testing.T) {
			t.Parallel()
			dialer := newNode(t, func(o *node.Options) { o.Listen, o.Reach.NoLAN = ":0", tt.off })
			m := dialer.Near(listener.Key.ID(), []string{stale}, tt.hubs)
			for i, want := range []bool{!tt.off, false} {
				list, _ := m.Better(t.Context(), path.Direct)
				got := false
				for c := range list {
					at, ok := c.AddrPort()
					got = got || ok && strconv.Itoa(int(at.Port())) == portOf(t, stale)
				}
				if got != want {
					t.Errorf("attempt %d: found in the local network %v, want %v", i, got, want)
				}
			}
		})
	}
}
