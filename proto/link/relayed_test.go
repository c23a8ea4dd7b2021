package link_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/path"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// met is the meeting of a dialer whose peer can be reached through a relay.
type met struct{ relay *linktest.Relay }

func (m met) Routes(context.Context) (<-chan candidate.Candidate, <-chan path.Route) {
	return nil, routes(m.relay.Route())
}

func (met) Better(context.Context, path.Kind) (<-chan candidate.Candidate, <-chan path.Route) {
	return nil, nil
}

func (met) Relayed() bool { return true }

func routes(all ...path.Route) <-chan path.Route {
	c := make(chan path.Route, len(all))
	for _, r := range all {
		c <- r
	}
	close(c)
	return c
}

// serveRelay keeps a place of the site at a new relay.
func serveRelay(t *testing.T, n *linktest.Net, s *site) *linktest.Relay {
	t.Helper()
	r := n.Relay(t)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { r.Serve(ctx, s.endpoint) })
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
	synctest.Wait()
	return r
}

// throughRelay returns a target that is reached through the relay alone.
func (s *site) throughRelay(r *linktest.Relay, cred token.Credential, caps proto.Caps) link.Target {
	t := s.target(cred, caps)
	t.Addrs, t.Routes, t.Meeting = nil, routes(r.Route()), met{r}
	return t
}

// overRelay runs a test with a link that goes through a relay.
func overRelay(t *testing.T, f func(t *testing.T, n *linktest.Net, r *linktest.Relay, s *site, dl, ll *link.Link)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency, Both: true}
		s := newSite(t, n, proto.AllCaps, 1)
		r := serveRelay(t, n, s)
		cred, _ := s.issue(t, proto.AllCaps, 0, 1)
		e, _ := n.Endpoint(t)
		dl, err := e.Dial(t.Context(), s.throughRelay(r, cred, proto.CapSend))
		if err != nil {
			t.Fatal(err)
		}
		f(t, n, r, s, dl, s.accept(t))
	})
}

// resumeBoth waits until both ends of a link have met its end, and returns the link on
// which they go on.
func resumeBoth(t *testing.T, dl, ll *link.Link) (*link.Link, *link.Link) {
	t.Helper()
	var wg sync.WaitGroup
	for _, l := range []**link.Link{&dl, &ll} {
		wg.Go(func() {
			if _, err := (*l).Read(make([]byte, 1)); !errors.Is(err, link.ErrBroken) {
				t.Errorf("read: got %v, want a broken link", err)
			}
			next, err := (*l).Resume(t.Context())
			if err != nil {
				t.Errorf("resume: %v", err)
				return
			}
			*l = next
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return dl, ll
}

func TestLinkThroughRelay(t *testing.T) {
	t.Parallel()
	overRelay(t, func(t *testing.T, _ *linktest.Net, _ *linktest.Relay, _ *site, dl, ll *link.Link) {
		echo(t, dl, ll)
		for _, l := range []*link.Link{dl, ll} {
			if got, want := l.Path().String(), "relay tcp relay.example:443"; got != want || l.Via() != proto.ViaTCP {
				t.Errorf("path is %q over %s, want %q over tcp", got, l.Via(), want)
			}
		}
		<-time.After(time.Minute) // keep-alives go through it
		echo(t, dl, ll)
		if err := dl.CloseWrite(); err != nil {
			t.Error(err)
		}
		if _, err := ll.Read(make([]byte, 1)); err == nil || errors.Is(err, link.ErrBroken) {
			t.Errorf("read: got %v, want the end of the stream", err)
		}
		dl.Close(proto.Errorf(proto.Integrity, "wrong digest"))
		if _, err := dl.Read(make([]byte, 1)); proto.CodeOf(err) != proto.Integrity {
			t.Errorf("read: got %v, want the code of the close", err)
		}
		ll.Close(nil)
	})
}

// No byte of a transfer crosses a relay before the listener has said P2P_OK.
func TestNoEarlyDataThroughRelay(t *testing.T) {
	t.Parallel()
	for _, direct := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			n := &linktest.Net{Latency: latency, TCP: true}
			s := newSite(t, n, proto.AllCaps, 1)
			r := serveRelay(t, n, s)
			cred, _ := s.issue(t, proto.CapSend, 0, 1)
			e, _ := n.Endpoint(t)
			target := s.throughRelay(r, cred, proto.CapSend)
			if direct {
				target.Addrs = []string{s.addr()}
			}
			asked := 0
			target.First = func(wire.TransferID) []byte { asked++; return []byte("early") }
			dl, err := e.Dial(t.Context(), target)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := asked == 1, direct; got != want {
				t.Errorf("path %s: early data was asked for %d times", dl.Path(), asked)
			}
			ll := s.accept(t)
			dl.Close(nil)
			ll.Close(nil)
		})
	}
}

// A relay that ends, for however short a time, and whatever it forgets, breaks a link:
// both ends go on when it is back. Nothing that it does says that the peer is gone.
func TestRelayRestarted(t *testing.T) {
	t.Parallel()
	for _, down := range []time.Duration{0, 300 * time.Millisecond, 2 * time.Second, 20 * time.Second, 2 * time.Minute} {
		t.Run(down.String(), func(t *testing.T) {
			t.Parallel()
			overRelay(t, func(t *testing.T, _ *linktest.Net, r *linktest.Relay, _ *site, dl, ll *link.Link) {
				for range 3 {
					echo(t, dl, ll)
					r.Kill()
					begun := time.Now()
					time.AfterFunc(down, r.Start)
					dl, ll = resumeBoth(t, dl, ll)
					if took := time.Since(begun); took > down+3*time.Second {
						t.Errorf("resumed %s after the relay was back, want at most 3 s", took-down)
					}
				}
				echo(t, dl, ll)
				dl.Close(nil)
				ll.Close(nil)
			})
		})
	}
}

// A flow of a relayed link goes through the relay; its address is not the peer's.
func TestFlowThroughRelay(t *testing.T) {
	t.Parallel()
	overRelay(t, func(t *testing.T, n *linktest.Net, _ *linktest.Relay, _ *site, dl, ll *link.Link) {
		if _, err := dl.AddFlow(t.Context(), proto.ViaQUIC); proto.CodeOf(err) != proto.Unreachable {
			t.Errorf("flow over QUIC: got %v, want %v", err, proto.Unreachable)
		}
		df, err := dl.AddFlow(t.Context(), proto.ViaTCP)
		if err != nil {
			t.Fatal(err)
		}
		lf, err := ll.AcceptFlow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		echo(t, df, lf)
		if got := df.Path().Kind; got != path.Relay {
			t.Errorf("the flow's path is of kind %s, want relay", got)
		}
		df.Close(nil)
		lf.Close(nil)
		echo(t, dl, ll)
		dl.Close(nil)
		ll.Close(nil)
	})
}

// A link that has no relay may break and go on through one, and the reverse.
func TestResumeOverAnotherKindOfPath(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency, Both: true}
		s := newSite(t, n, proto.AllCaps, 1)
		r := serveRelay(t, n, s)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		target := s.throughRelay(r, cred, proto.CapSend)
		target.Addrs = []string{s.addr()}
		e := n.EndpointFor(t, xtest.NewKey(t))
		dl, err := e.Dial(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		ll := s.accept(t)
		for i, want := range []path.Kind{path.LAN, path.Relay, path.LAN, path.Relay} {
			if got := dl.Path().Kind; got != want {
				t.Fatalf("link %d: the path is of kind %s, want %s", i, got, want)
			}
			echo(t, dl, ll)
			if want == path.LAN {
				n.Cut()
			} else {
				n.Heal()
			}
			dl.Break(errors.New("cut"))
			dl, ll = resumeBoth(t, dl, ll)
		}
		dl.Close(nil)
		ll.Close(nil)
	})
}
