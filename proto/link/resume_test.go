package link_test

import (
	"errors"
	"io"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/linktest"
)

// The dialer gives up an attempt to resume whose answer is late, although the listener
// has accepted it. That ends the attempt, not the transfer.
func TestResumeAnsweredTooLate(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		e, _ := n.Endpoint(t)
		dl, ll := s.dial(t, e, cred, proto.CapSend)
		dl.Break(proto.Errorf(proto.Timeout, "nothing heard for long"))
		if _, err := ll.Read(make([]byte, 1)); !errors.Is(err, link.ErrBroken) {
			t.Fatalf("read of a link that was given up: got %v, want %v", err, link.ErrBroken)
		}

		// No link is live, so the only call of CheckAccess is that of the resume.
		var once sync.Once
		late := func() {
			once.Do(func() {
				n.Cut()
				time.AfterFunc(proto.RedialTimeout+time.Second, n.Heal)
			})
		}
		s.checks.Store(&late)
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			var err error
			if dl, err = dl.Resume(t.Context()); err != nil {
				t.Errorf("dialer: %v", err)
				return
			}
			if _, err := dl.Write([]byte("!")); err != nil {
				t.Errorf("write: %v", err)
			}
		})
		for tries := 1; ; tries++ {
			next, err := ll.Resume(t.Context())
			if err != nil {
				t.Fatalf("listener: %v", err)
			}
			ll = next
			if _, err = io.ReadFull(ll, make([]byte, 1)); err == nil {
				if tries < 2 {
					t.Error("the first try was answered in time: nothing is tested")
				}
				break
			}
			if !errors.Is(err, link.ErrBroken) {
				t.Fatalf("read after %d tries: got %v, want %v", tries, err, link.ErrBroken)
			}
		}
		wg.Wait()
		ll.Close(nil)
		dl.Close(nil)
	})
}

// A message that nobody listens at the dialer's old address ends no transfer that has
// gone on over another link.
func TestResumeAfterUnreachable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency}
		s := newSite(t, n, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		e, _ := n.Endpoint(t)
		dl, ll := s.dial(t, e, cred, proto.CapSend)
		resume := func() {
			t.Helper()
			n.Cut()
			dl.Break(proto.Errorf(proto.Timeout, "another network"))
			<-time.After(time.Millisecond)
			n.Heal()
			next, err := dl.Resume(t.Context())
			if err != nil {
				t.Fatalf("dialer: %v", err)
			}
			dl = next
			if ll, err = ll.Resume(t.Context()); err != nil {
				t.Fatalf("listener: %v", err)
			}
			echo(t, dl, ll)
		}
		<-time.After(time.Second) // nothing is on its way
		s.endpoint.Unreachable(netip.MustParseAddrPort(ll.Addr().String()))
		resume()
		<-time.After(2 * time.Second)
		resume()
		ll.Close(nil)
		dl.Close(nil)
	})
}
