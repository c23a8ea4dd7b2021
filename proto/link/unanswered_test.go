package link_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/xtest"
)

// unanswered dials a site whose answer is lost, so that the dialer does not know that
// it was accepted. It returns the site's end when the network is whole again.
func unanswered(t *testing.T, n *linktest.Net, s *site, e *link.Endpoint, target link.Target) *link.Link {
	t.Helper()
	var once sync.Once
	healed := make(chan struct{})
	cut := func() {
		once.Do(func() {
			n.Cut()
			time.AfterFunc(proto.DialTimeout+time.Second, func() {
				n.Heal()
				close(healed)
			})
		})
	}
	s.finds.Store(&cut)
	accepted := make(chan *link.Link, 1)
	go func() {
		l, err := s.listener.Accept(t.Context())
		if err != nil {
			t.Error(err)
		}
		accepted <- l
	}()
	if l, err := e.Dial(t.Context(), target); err == nil {
		l.Close(nil)
		t.Fatal("the first dial was answered: nothing is tested")
	} else if proto.CodeOf(err) != proto.Unreachable && !errors.Is(err, link.ErrBroken) {
		t.Fatalf("the first dial: got %v, want one that may be repeated", err)
	}
	<-healed
	return <-accepted
}

// A dialer whose P2P_OK was lost goes on with the transfer that has begun, although its
// token is used up.
func TestDialUnanswered(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		e, _ := n.Endpoint(t)
		target := s.target(cred, proto.CapSend)
		target.AttemptTimeout = time.Second
		ll := unanswered(t, n, s, e, target)
		if _, err := ll.Read(make([]byte, 1)); !errors.Is(err, link.ErrBroken) {
			t.Fatalf("listener: got %v, want %v", err, link.ErrBroken)
		}
		dl, err := e.Dial(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		next, err := ll.Resume(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !dl.Resumed || dl.Transfer != ll.Transfer || dl.Granted != proto.CapSend {
			t.Errorf("got resumed %v, transfer %s, %s; want the transfer %s and %s", dl.Resumed, dl.Transfer, dl.Granted, ll.Transfer, proto.CapSend)
		}
		echo(t, dl, next)
		n.Cut() // and as any other link
		time.AfterFunc(proto.IdleTimeout+time.Second, n.Heal)
		dn, ln := resume(t, dl, next)
		echo(t, dn, ln)
		dn.Close(nil)
		ln.Close(nil)
	})
}

// When the listener has given that transfer up, the next dial begins a new one: the
// node that has used the token may use it again.
func TestDialUnansweredAnew(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		e, _ := n.Endpoint(t)
		target := s.target(cred, proto.CapSend)
		ll := unanswered(t, n, s, e, target)
		ll.Close(nil)
		dl, again := s.dial(t, e, cred, proto.CapSend)
		if dl.Resumed || dl.Transfer == ll.Transfer {
			t.Errorf("got resumed %v and the transfer before, want another", dl.Resumed)
		}
		echo(t, dl, again)
		dl.Close(nil)
		again.Close(nil)
		// Another dial of the same is no return.
		dl, again = s.dial(t, e, cred, proto.CapSend)
		if dl.Resumed {
			t.Error("got a link that was resumed, and nothing was unanswered")
		}
		dl.Close(nil)
		again.Close(nil)
	})
}

// AttemptTimeout limits the wait for a connection, but not for the answer to
// P2P_HELLO.
func TestDialAttemptTimeout(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		e, _ := n.Endpoint(t)
		target := s.target(cred, proto.CapSend)
		target.AttemptTimeout = time.Second
		n.Cut()
		begun := time.Now()
		_, err := e.Dial(t.Context(), target)
		xtest.WantCode(t, "no peer", err, proto.Unreachable)
		if took := time.Since(begun); took != target.AttemptTimeout {
			t.Errorf("the attempt took %s, want %s", took, target.AttemptTimeout)
		}
		n.Heal()
		s.hold = make(chan struct{})
		time.AfterFunc(3*target.AttemptTimeout, func() { close(s.hold) })
		dl, err := e.Dial(t.Context(), target)
		if err != nil {
			t.Fatalf("an answer after %s: %v", 3*target.AttemptTimeout, err)
		}
		ll := s.accept(t)
		echo(t, dl, ll)
		dl.Close(nil)
		ll.Close(nil)
	})
}
