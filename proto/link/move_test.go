package link_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/path"
	tp "mesh/proto/transport"
)

// relayedPair runs a test with a link through a relay that may move to a direct path.
func relayedPair(t *testing.T, f func(t *testing.T, n *linktest.Net, p linktest.Relayed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency, Both: true}
		f(t, n, n.PairRelayed(t, proto.AllCaps, linktest.RelayedOptions{}))
	})
}

// reach makes a direct connection to the listener.
func reach(t *testing.T, p linktest.Relayed) tp.Conn {
	t.Helper()
	c, err := p.From.Connect(t.Context(), tp.Attempt{Via: proto.ViaTCP, Addr: p.Addr, ID: p.Dialer.Peer})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The old link works until the new one is there, and both ends resume on that at once.
func TestMove(t *testing.T) {
	t.Parallel()
	relayedPair(t, func(t *testing.T, _ *linktest.Net, p linktest.Relayed) {
		dl, ll := p.Dialer, p.Listener
		echo(t, dl, ll)
		if dl.Moving() || ll.Moving() {
			t.Error("the link is moving before the move")
		}
		if err := dl.Move(reach(t, p)); err != nil {
			t.Fatal(err)
		}
		if !dl.Moving() || !ll.Moving() {
			t.Errorf("after the move: the dialer is moving %v, the listener %v, want both", dl.Moving(), ll.Moving())
		}
		begun := time.Now()
		dl, ll = resumeBoth(t, dl, ll)
		if took := time.Since(begun); took > 0 {
			t.Errorf("resumed after %s, want at once", took)
		}
		if got := dl.Path().Kind; got != path.LAN || dl.Moving() || ll.Moving() {
			t.Errorf("after the resume: path of kind %s, moving %v and %v, want a LAN and no move", got, dl.Moving(), ll.Moving())
		}
		echo(t, dl, ll)
	})
}

// Of two moves of one link, one is made.
func TestTwoMovesAtOnce(t *testing.T) {
	t.Parallel()
	relayedPair(t, func(t *testing.T, _ *linktest.Net, p linktest.Relayed) {
		dl, ll := p.Dialer, p.Listener
		var wg sync.WaitGroup
		errs := make(chan error, 2)
		for range 2 {
			c := reach(t, p)
			wg.Go(func() { errs <- dl.Move(c) })
		}
		wg.Wait()
		if a, b := <-errs, <-errs; (a == nil) == (b == nil) {
			t.Errorf("two moves: got %v and %v, want one of them nil", a, b)
		}
		dl, ll = resumeBoth(t, dl, ll)
		echo(t, dl, ll)
	})
}

// A P2P_HELLO that comes late, after one of a higher try, displaces nothing, and neither does
// a flow of a link that is no more.
func TestLateTry(t *testing.T) {
	t.Parallel()
	relayedPair(t, func(t *testing.T, _ *linktest.Net, p linktest.Relayed) {
		dl, ll := p.Dialer, p.Listener
		early, late := reach(t, p), reach(t, p)
		if err := dl.Move(reach(t, p)); err != nil { // try 1
			t.Fatal(err)
		}
		old := dl
		dl, ll = resumeBoth(t, dl, ll)
		if _, err := old.AddFlow(t.Context(), proto.ViaTCP); proto.CodeOf(err) != proto.Busy {
			t.Errorf("flow of the old link: got %v, want %v", err, proto.Busy)
		}
		if _, err := old.ResumeOver(t.Context(), early, 0); proto.CodeOf(err) != proto.Busy {
			t.Errorf("try 0 after try 1: got %v, want %v", err, proto.Busy)
		}
		echo(t, dl, ll)
		if _, err := dl.AddFlow(t.Context(), proto.ViaTCP); err != nil {
			t.Errorf("flow of the new link: %v", err)
		}
		if _, err := ll.AcceptFlow(t.Context()); err != nil {
			t.Errorf("flow of the new link: %v", err)
		}
		if _, err := old.ResumeOver(t.Context(), late, 2); err != nil {
			t.Errorf("try 2 after try 1: %v", err)
		}
		if _, err := ll.Read(make([]byte, 1)); !errors.Is(err, link.ErrBroken) {
			t.Errorf("read: got %v, want a broken link: a later try has displaced it", err)
		}
	})
}

// A move that the listener refuses, or that gets no answer, leaves the link as it was.
func TestMoveFails(t *testing.T) {
	t.Parallel()
	relayedPair(t, func(t *testing.T, n *linktest.Net, p linktest.Relayed) {
		dl, ll := p.Dialer, p.Listener
		c := reach(t, p)
		n.CutTCP()
		begun := time.Now()
		if err := dl.Move(c); !errors.Is(err, tp.ErrNoAnswer) {
			t.Errorf("move over a dead path: got %v, want %v", err, tp.ErrNoAnswer)
		}
		if took := time.Since(begun); took > proto.RedialTimeout+100*time.Millisecond {
			t.Errorf("the move was given up after %s, want %s", took, proto.RedialTimeout)
		}
		echo(t, dl, ll)
		n.Heal()
		if err := dl.Move(reach(t, p)); err != nil {
			t.Errorf("second move: %v", err)
		}
		dl, ll = resumeBoth(t, dl, ll)
		echo(t, dl, ll)
	})
}

// carry keeps a transfer on its links until ctx ends, as pipe.Exchange does, and returns the
// times of the changes to the direct path.
func carry(ctx context.Context, t *testing.T, p linktest.Relayed) (moves []time.Time) {
	var wg sync.WaitGroup
	for _, l := range []*link.Link{p.Dialer, p.Listener} {
		wg.Go(func() {
			for ctx.Err() == nil {
				if l.Dialed && l.Path().Kind == path.LAN {
					moves = append(moves, time.Now())
				}
				leg, stop := context.WithCancel(ctx)
				var run sync.WaitGroup
				if l.Dialed {
					run.Go(func() { l.Improve(leg) })
					run.Go(func() { l.Watch(leg, nil) })
				}
				context.AfterFunc(ctx, func() { l.Break(ctx.Err()) })
				_, _ = l.Read(make([]byte, 1))
				stop()
				run.Wait()
				next, err := l.Resume(ctx)
				if err != nil {
					if ctx.Err() == nil {
						t.Errorf("resume: %v", err)
					}
					return
				}
				l = next
			}
		})
	}
	wg.Wait()
	return moves
}

// wantTimes compares times, which may be late by a second.
func wantTimes(t *testing.T, what string, begun time.Time, got []time.Time, want ...time.Duration) {
	t.Helper()
	var after []time.Duration
	for _, at := range got {
		after = append(after, at.Sub(begun).Truncate(time.Second))
	}
	if !slices.Equal(after, want) {
		t.Errorf("%s: got %v, want %v", what, after, want)
	}
}

// Better paths are looked for at once, and then less and less often.
func TestImproveTimes(t *testing.T) {
	t.Parallel()
	relayedPair(t, func(t *testing.T, n *linktest.Net, p linktest.Relayed) {
		n.Cut()
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)
		defer cancel()
		if moves := carry(ctx, t, p); len(moves) > 0 {
			t.Errorf("moved %d times, want no move", len(moves))
		}
		wantTimes(t, "a relayed link", begun, p.Meeting.Asked(), 0, 5*time.Second, 15*time.Second, 30*time.Second, time.Minute, 6*time.Minute, 11*time.Minute)
	})
}

// A path that was lost is tried again soon, and later if it was lost several times in a row.
func TestFallenTimes(t *testing.T) {
	t.Parallel()
	for falls, want := range [][]time.Duration{
		{5 * time.Second, 10 * time.Second, 20 * time.Second, time.Minute, 6 * time.Minute},
		{10 * time.Second, 20 * time.Second, time.Minute, 6 * time.Minute},
		{20 * time.Second, time.Minute, 6 * time.Minute},
		{time.Minute, 6 * time.Minute},
		{time.Minute, 6 * time.Minute},
	} {
		relayedPair(t, func(t *testing.T, n *linktest.Net, p linktest.Relayed) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var wg sync.WaitGroup
			wg.Go(func() { carry(ctx, t, p) })
			for range falls {
				for p.Dialer.Latest().Path().Kind != path.LAN {
					<-time.After(100 * time.Millisecond)
				}
				n.Cut()
				for p.Dialer.Latest().Path().Kind == path.LAN {
					<-time.After(100 * time.Millisecond)
				}
				n.Heal()
			}
			for p.Dialer.Latest().Path().Kind != path.LAN {
				<-time.After(100 * time.Millisecond)
			}
			n.Cut()
			for p.Dialer.Latest().Path().Kind == path.LAN {
				<-time.After(100 * time.Millisecond)
			}
			before, begun := len(p.Meeting.Asked()), time.Now()
			<-time.After(7 * time.Minute)
			cancel()
			wg.Wait()
			wantTimes(t, "a fallen link", begun.Add(-200*time.Millisecond), p.Meeting.Asked()[before:], want...)
		})
	}
}

// A transfer moves 20 times an hour, and not again within 5 s.
func TestMovesAnHour(t *testing.T) {
	t.Parallel()
	relayedPair(t, func(t *testing.T, n *linktest.Net, p linktest.Relayed) {
		ctx, cancel := context.WithTimeout(t.Context(), 130*time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			for ctx.Err() == nil { // lost whenever it is there for a minute
				<-time.After(time.Second)
				if p.Dialer.Latest().Path().Kind == path.LAN {
					<-time.After(61 * time.Second)
					n.Cut()
					<-time.After(10 * time.Second)
					n.Heal()
				}
			}
		})
		moves := carry(ctx, t, p)
		if len(moves) < 41 {
			t.Errorf("%d moves in %s, want at least 41", len(moves), 130*time.Minute)
		}
		for i := range moves {
			if i > 0 && moves[i].Sub(moves[i-1]) < 5*time.Second {
				t.Errorf("move %d is %s after the last one, want 5 s", i, moves[i].Sub(moves[i-1]))
			}
			if i >= 20 && moves[i].Sub(moves[i-20]) < time.Hour {
				t.Errorf("move %d is %s after the one 20 before, want an hour", i, moves[i].Sub(moves[i-20]))
			}
		}
	})
}

// heldConn delays the writes after hold, and the close, as a full buffer on the way does.
type heldConn struct {
	net.Conn
	mu   sync.Mutex
	late []func()
	held bool
}

// heldFor is less than [proto.HelloTimeout], after which the listener takes no P2P_HELLO any more.
const heldFor = 4 * time.Second

func (c *heldConn) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = true
	time.AfterFunc(heldFor, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.held = false
		for _, f := range c.late {
			f()
		}
	})
}

func (c *heldConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.held {
		return c.Conn.Write(p)
	}
	p = slices.Clone(p)
	c.late = append(c.late, func() {
		_ = c.SetWriteDeadline(time.Time{})
		_, _ = c.Conn.Write(p)
	})
	return len(p), nil
}

func (c *heldConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.held {
		return c.Conn.Close()
	}
	c.late = append(c.late, func() { c.Conn.Close() })
	return nil
}

// heldHello makes a move whose P2P_HELLO stays on the way, so that the dialer gives it up.
func heldHello(t *testing.T, p linktest.Relayed) {
	t.Helper()
	carrier, err := p.Relay.Route().Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	held := &heldConn{Conn: carrier.Conn}
	carrier.Conn = held
	c, err := p.From.ConnectOver(t.Context(), carrier, p.Dialer.Peer)
	if err != nil {
		t.Fatal(err)
	}
	held.hold()
	if err := p.Dialer.Move(c); !errors.Is(err, tp.ErrNoAnswer) {
		t.Fatalf("the move: got %v, want %v", err, tp.ErrNoAnswer)
	}
}

// A P2P_HELLO that is held back displaces no link that came after it.
func TestHeldHelloAfterResume(t *testing.T) {
	t.Parallel()
	relayedPair(t, func(t *testing.T, _ *linktest.Net, p linktest.Relayed) {
		dl, ll := p.Dialer, p.Listener
		heldHello(t, p)
		echo(t, dl, ll)
		dl.Break(errors.New("cut"))
		dl, ll = resumeBoth(t, dl, ll)
		<-time.After(2 * heldFor)
		echo(t, dl, ll)
		if dl.Moving() || ll.Moving() {
			t.Errorf("moving: the dialer %v, the listener %v, want neither", dl.Moving(), ll.Moving())
		}
	})
}

// One that does displace the link that it was meant for breaks that link, and the transfer is
// resumed. The dialer knows that this is the end of its move, and no outage.
func TestHeldHelloInTime(t *testing.T) {
	t.Parallel()
	relayedPair(t, func(t *testing.T, _ *linktest.Net, p linktest.Relayed) {
		dl, ll := p.Dialer, p.Listener
		heldHello(t, p)
		echo(t, dl, ll)
		if !dl.Moving() {
			t.Error("the dialer does not expect that the listener goes on elsewhere")
		}
		begun := time.Now()
		dl, ll = resumeBoth(t, dl, ll)
		if took := time.Since(begun); took < 2*time.Second || took > heldFor {
			t.Errorf("broken and resumed after %s, want when P2P_HELLO arrived", took)
		}
		for <-time.After(time.Second); ll.Moving(); { // its first successor is the connection that the dialer has given up
			next, err := ll.Resume(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ll = next
		}
		echo(t, dl, ll)
		if dl.Moving() {
			t.Error("the dialer's new link is moving")
		}
	})
}
