package link_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/tcp"
	"mesh/proto/token"
	"mesh/proto/xtest"
)

// wantTold checks that a peer was told how its link ended: the other end may be there
// later, or it has left.
func wantTold(t *testing.T, what string, err error) {
	t.Helper()
	want := []proto.Code{proto.Unreachable, proto.Busy, proto.Truncated}
	if got := proto.CodeOf(err); !slices.Contains(want, got) {
		t.Errorf("%s: got %v (%v), want one of %v", what, got, err, want)
	}
}

// A listener that is closed at any moment of its peers' handshakes leaves no peer
// waiting, and no link open.
func TestListenerClosesWhilePeersConnect(t *testing.T) {
	t.Parallel()
	for step := range 12 {
		linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
			s := newSite(t, n, proto.AllCaps, 3)
			cred, _ := s.issue(t, proto.CapSend, 0, 0)
			var wg sync.WaitGroup
			for range 4 {
				e, _ := n.Endpoint(t)
				wg.Go(func() {
					dl, err := e.Dial(t.Context(), s.target(cred, proto.CapSend))
					if err == nil {
						_, err = dl.Read(make([]byte, 1))
						dl.Close(nil)
					}
					wantTold(t, "dialer", err)
				})
			}
			<-time.After(time.Duration(step) * latency / 2)
			if err := s.listener.Close(); err != nil {
				t.Error(err)
			}
			_, err := s.listener.Accept(t.Context())
			xtest.WantCode(t, "accept after Close", err, proto.Truncated)
			wg.Wait()
		})
	}
}

// The links that a listener has accepted outlive it.
func TestLinkOutlivesListener(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 3)
		cred, _ := s.issue(t, proto.CapSend, 0, 0)
		e, _ := n.Endpoint(t)
		dl, ll := s.dial(t, e, cred, proto.CapSend)
		if err := s.listener.Close(); err != nil {
			t.Error(err)
		}
		<-time.After(time.Minute)
		echo(t, dl, ll)
		ll.Close(proto.Errorf(proto.Interrupted, "enough"))
		_, err := dl.Read(make([]byte, 1))
		xtest.WantCode(t, "read", err, proto.Truncated)
	})
}

func TestAcceptCanceled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, &linktest.Net{Latency: latency}, proto.AllCaps, 1)
		why := errors.New("a person has had enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		if _, err := s.listener.Accept(ctx); !errors.Is(err, why) {
			t.Errorf("got %v, want %v", err, why)
		}
	})
}

// Closing an endpoint ends its links and dials at once.
func TestEndpointClosed(t *testing.T) {
	t.Parallel()
	for _, dialer := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			n := &linktest.Net{Latency: latency}
			s := newSite(t, n, proto.AllCaps, 2)
			cred, _ := s.issue(t, proto.CapSend, 0, 0)
			e, err := link.Open(xtest.NewKey(t), link.Sockets{UDP: n.Conn(t)}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			dl, ll := s.dial(t, e, cred, proto.CapSend)
			if dialer {
				begun := time.Now()
				time.AfterFunc(time.Second, func() { e.Close() })
				target := s.target(token.KeyCredential(), proto.CapSend)
				target.Addrs = []string{silentAddr(t, n)}
				_, err := e.Dial(t.Context(), target)
				xtest.WantCode(t, "dial", err, proto.Unreachable)
				if took := time.Since(begun); took > 2*time.Second {
					t.Errorf("took %s, want 1s", took)
				}
			} else {
				e.Close()
			}
			if _, err := dl.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("read of a link whose endpoint is closed: got %v, want an error", err)
			}
			begun := time.Now()
			_, err = ll.Read(make([]byte, 1)) // the dialer did not close it
			xtest.WantCode(t, "read at the other end", err, proto.Timeout)
			if took := time.Since(begun); took > 30*time.Second {
				t.Errorf("the other end noticed after %s, want at most 30s", took)
			}
			ll.Close(nil)
			dl.Close(nil)
		})
	}
}

// A peer in the middle of its handshake is told that the listener is closed.
func TestListenerClosesOnHalfOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency}
		s := newSite(t, n, proto.AllCaps, 1)
		conns := silent(t, transport(t, n), s, 2)
		stream, err := conns[1].OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Write([]byte{0}); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		if err := s.listener.Close(); err != nil {
			t.Error(err)
		}
		for _, conn := range conns {
			wantClosed(t, conn, time.Second, proto.Truncated)
		}
	})
}

func TestCloseTellsCode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct{ said, heard proto.Code }{
			{proto.Space, proto.Space},
			{proto.Interrupted, proto.Truncated},
			{proto.OK, proto.Truncated},
		} {
			dl, ll := (&linktest.Net{Latency: latency}).Pair(t, proto.CapSend)
			var why error
			if c.said != proto.OK {
				why = proto.Errorf(c.said, "why")
			}
			dl.Close(why)
			_, err := ll.Read(make([]byte, 1))
			xtest.WantCode(t, "read of a link that the peer closed", err, c.heard)
			if why != nil {
				_, err = dl.Read(make([]byte, 1))
				xtest.WantCode(t, "read of a link that we closed", err, c.said)
			}
		}
		dl, ll := (&linktest.Net{Latency: latency}).Pair(t, proto.CapSend)
		if err := dl.CloseWrite(); err != nil {
			t.Error(err)
		}
		if _, err := ll.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("read behind the end: got %v, want EOF", err)
		}
	})
}

// Accept ends when the listener's socket is closed.
func TestSocketOfListenerCloses(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		time.AfterFunc(time.Second, func() { _ = s.endpoint.Close() })
		_, err := s.listener.Accept(t.Context())
		xtest.WantCode(t, "accept", err, proto.IO)
	})
}

// Several goroutines close a link whose peer reads nothing: each of them returns, and
// virtual time goes on while they wait for each other.
func TestCloseByMany(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		dl, ll := n.Pair(t, proto.AllCaps)
		var wg sync.WaitGroup
		begun := time.Now()
		for range 3 {
			wg.Go(func() { dl.Close(nil) })
		}
		wg.Wait()
		if took := time.Since(begun); took > tcp.CloseTimeout+latency {
			t.Errorf("closing took %s, want %s at most", took, tcp.CloseTimeout)
		}
		ll.Close(nil)
	})
}
