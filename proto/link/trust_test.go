package link_test

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// A single-use token admits exactly one of a hundred nodes.
func TestRaceForOneToken(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 200)
		cred, _ := s.issue(t, proto.CapSend, time.Hour, 1)
		var wg sync.WaitGroup
		var in, denied atomic.Int32
		for range 100 {
			e, _ := n.Endpoint(t)
			wg.Go(func() {
				l, err := e.Dial(t.Context(), s.target(cred, proto.CapSend))
				switch {
				case err == nil:
					in.Add(1)
					l.Close(nil)
				case proto.CodeOf(err) == proto.Denied:
					denied.Add(1)
				default:
					t.Errorf("a loser ended with %v, want denied", err)
				}
			})
		}
		wg.Wait()
		if in.Load() != 1 || denied.Load() != 99 {
			t.Errorf("got %d in and %d denied, want 1 and 99", in.Load(), denied.Load())
		}
	})
}

// When a key is removed, or allowed less than its link was granted, the listener ends
// the link, and the node cannot resume the transfer.
func TestRevokedKeyEndsItsLinks(t *testing.T) {
	t.Parallel()
	for name, left := range map[string]proto.Caps{"off the list": 0, "may less": proto.CapRecv} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				s := newSite(t, n, proto.AllCaps, 2)
				e, key := n.Endpoint(t)
				book := identity.Book{Dir: s.dir}
				allow := func(caps proto.Caps) {
					if err := book.Allow(key.ID(), caps); err != nil {
						t.Fatal(err)
					}
				}
				allow(proto.CapSend)
				d, l := s.dial(t, e, token.KeyCredential(), proto.CapSend)
				broken, _ := s.dial(t, e, token.KeyCredential(), proto.CapSend)
				broken.Break(io.ErrClosedPipe)
				allow(proto.CapSend | proto.CapTTYView)
				<-time.After(5 * time.Second)
				echo(t, d, l) // a peer that may do more stays
				allow(left)
				begun := time.Now()
				_, err := d.Read(make([]byte, 1))
				xtest.WantCode(t, "dialer", err, proto.Denied)
				if took := time.Since(begun); took > 5*time.Second {
					t.Errorf("the link ended %s after the key was taken off, want at most 5s", took)
				}
				_, err = broken.Resume(t.Context())
				xtest.WantCode(t, "resume", err, proto.Truncated)
			})
		})
	}
}

func TestRevokedTokenEndsItsLinks(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 2)
		cred, tok := s.issue(t, proto.CapSend, time.Hour, 1)
		e, _ := n.Endpoint(t)
		d, l := s.dial(t, e, cred, proto.CapSend)
		echo(t, d, l)
		if err := token.Revoke(s.dir, tok.ID); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		_, err := d.Read(make([]byte, 1))
		xtest.WantCode(t, "dialer", err, proto.Denied)
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("the link ended %s after the token was revoked, want at most 5s", took)
		}
		_, err = e.Dial(t.Context(), s.target(cred, proto.CapSend))
		xtest.WantCode(t, "dial with a revoked token", err, proto.Denied)
	})
}

// resumed returns both ends of the link after a broken one.
func resumed(t *testing.T, d, l *link.Link) (d2, l2 *link.Link) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var err error
	if d2, err = d.Resume(ctx); err != nil {
		t.Fatalf("dialer: %v", err)
	}
	if l2, err = l.Resume(ctx); err != nil {
		t.Fatalf("listener: %v", err)
	}
	return d2, l2
}

func TestResumeAfterCut(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, time.Second, 1) // expires long before the cut ends
		e, _ := n.Endpoint(t)
		d, l := s.dial(t, e, cred, proto.CapSend)
		n.Cut()
		d.Watch(t.Context(), nil)
		<-time.After(30 * time.Second)
		n.Heal()
		d2, l2 := resumed(t, d, l)
		if d2.Transfer != d.Transfer || l2.Transfer != d.Transfer || l2.Peer != l.Peer || l2.Granted != l.Granted {
			t.Errorf("got transfers %s and %s, want the same as before, %s", d2.Transfer, l2.Transfer, d.Transfer)
		}
		echo(t, d2, l2)
		// It can come back any number of times, and holds one place throughout.
		d2.Break(io.ErrClosedPipe)
		d3, l3 := resumed(t, d2, l2)
		echo(t, d3, l3)
		other, _ := n.Endpoint(t)
		more, _ := s.issue(t, proto.CapSend, time.Hour, 1)
		_, err := other.Dial(t.Context(), s.target(more, proto.CapSend))
		xtest.WantCode(t, "dial while the place is taken", err, proto.Busy)
		l3.Close(nil)
		if _, err := d3.Resume(t.Context()); proto.CodeOf(err) != proto.Truncated {
			t.Errorf("resume of an ended transfer: got %v, want %v", err, proto.Truncated)
		}
		if _, err := other.Dial(t.Context(), s.target(more, proto.CapSend)); err != nil {
			t.Errorf("dial when the place is free: %v", err)
		}
	})
}

// Only the node that began a transfer can resume it, and only with its secret.
func TestResumeByOthers(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 9)
		cred, tok := s.issue(t, proto.CapSend, time.Hour, 1)
		mine, key := n.Endpoint(t)
		d, l := s.dial(t, mine, cred, proto.CapSend)
		thief, _ := n.Endpoint(t)
		same := n.EndpointFor(t, key)
		for _, c := range []struct {
			who    string
			from   *link.Endpoint
			public []byte
			secret []byte
		}{
			{"another node", thief, d.Transfer[:], nil},
			{"another node with the token's secret", thief, d.Transfer[:], cred.Secret},
			{"the node without the secret", same, d.Transfer[:], nil},
			{"the node with the token's secret", same, d.Transfer[:], cred.Secret},
			{"a short id", same, d.Transfer[:8], nil},
			{"no such transfer", same, make([]byte, 16), nil},
		} {
			_, err := c.from.Dial(t.Context(), s.target(token.Credential{Method: wire.MethodResume, Public: c.public, Secret: c.secret}, proto.CapSend))
			xtest.WantCode(t, c.who, err, proto.Denied)
		}
		echo(t, d, l) // the link is undisturbed
		d.Break(io.ErrClosedPipe)
		if err := token.Revoke(s.dir, tok.ID); err != nil {
			t.Fatal(err)
		}
		_, err := d.Resume(t.Context())
		xtest.WantCode(t, "resume with a revoked token", err, proto.Truncated)
		l.Close(nil)
	})
}
