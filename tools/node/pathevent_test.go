package node_test

import (
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/linktest"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

// The event path says how long the transfer has lasted, also after several changes: ms counts
// from the first link, not from the one before.
func TestPathEventTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var events buffer
		n := node.New(node.Options{Key: xtest.NewKey(t), State: t.TempDir(), Events: &events})
		defer n.Close(nil)
		over := "direct tcp4"
		report := n.OnBroken(func() node.Party { return node.Party{Path: over} })
		for _, c := range []struct {
			works, broken time.Duration
			to            string
		}{
			{1500 * time.Millisecond, 2250 * time.Millisecond, "relay tcp hub.example:443"},
			{time.Second, time.Second, "relay tcp hub.example:443"}, // resumed over the same path: no event
			{0, 10 * time.Millisecond, "direct udp4"},
		} {
			<-time.After(c.works)
			report(true)
			<-time.After(c.broken)
			over = c.to
			report(false)
		}
		wantPathEvents(t, &events, []pathEvent{
			{"direct tcp4", "relay tcp hub.example:443", "lost", 3750},
			{"relay tcp hub.example:443", "direct udp4", "lost", 5760},
		})
	})
}

// A move is told with the time since the transfer began, too.
func TestMoveEventTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var events buffer
		n := node.New(node.Options{Key: xtest.NewKey(t), State: t.TempDir(), Events: &events})
		defer n.Close(nil)
		p := (&linktest.Net{Both: true, Latency: time.Microsecond}).PairRelayed(t, proto.AllCaps, linktest.RelayedOptions{})
		moved := n.OnMoved(func() node.Party { return node.Party{Path: p.Dialer.Latest().Path().String()} })
		<-time.After(1234 * time.Millisecond)
		p.Dialer.Improve(t.Context())
		if _, err := p.Dialer.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Listener.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		moved(p.Dialer)
		wantPathEvents(t, &events, []pathEvent{{p.Dialer.Path().String(), p.Dialer.Latest().Path().String(), "better", 1234}})
	})
}

type pathEvent struct {
	from, to, why string
	ms            float64
}

func wantPathEvents(t *testing.T, b *buffer, want []pathEvent) {
	t.Helper()
	all := b.events(t, "path")
	if len(all) != len(want) {
		t.Fatalf("got the events %v, want %v", all, want)
	}
	for i, e := range all {
		got := pathEvent{}
		got.from, _ = e["from"].(string)
		got.to, _ = e["to"].(string)
		got.why, _ = e["why"].(string)
		got.ms, _ = e["ms"].(float64)
		if got != want[i] {
			t.Errorf("event %d: got %v, want %v", i, got, want[i])
		}
	}
}
