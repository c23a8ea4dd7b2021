package link_test

import (
	"bytes"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/linktest"
	"mesh/proto/xtest"
)

func TestBusy(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 0)
		first, _ := n.Endpoint(t)
		second, _ := n.Endpoint(t)
		dl, ll := s.dial(t, first, cred, proto.CapSend)
		_, err := second.Dial(t.Context(), s.target(cred, proto.CapSend))
		xtest.WantCode(t, "dial when there is no place", err, proto.Busy)
		echo(t, dl, ll)
		// A stranger must not learn that there is no place.
		wrong := cred
		wrong.Secret = bytes.Repeat([]byte{1}, len(cred.Secret))
		_, err = second.Dial(t.Context(), s.target(wrong, proto.CapSend))
		xtest.WantCode(t, "dial with a wrong secret", err, proto.Denied)

		dl.Close(nil)
		_, err = ll.Read(make([]byte, 1))
		xtest.WantCode(t, "read after the peer's Close", err, proto.Truncated)
		_, err = second.Dial(t.Context(), s.target(cred, proto.CapSend))
		xtest.WantCode(t, "dial before the listener's Close", err, proto.Busy)
		ll.Close(nil)
		ll.Close(nil) // gives no second place
		s.dial(t, second, cred, proto.CapSend)
		_, err = first.Dial(t.Context(), s.target(cred, proto.CapSend))
		xtest.WantCode(t, "dial when there is no place again", err, proto.Busy)
	})
}

// A peer that leaves before Accept returns its link gives its place back.
func TestPlaceOfUnaccepted(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 0)
		for range 3 {
			e, _ := n.Endpoint(t)
			dl, err := e.Dial(t.Context(), s.target(cred, proto.CapSend))
			if err != nil {
				t.Fatal(err)
			}
			dl.Close(nil)
			<-time.After(time.Second)
		}
		e, _ := n.Endpoint(t)
		s.dial(t, e, cred, proto.CapSend)
	})
}

// One node cannot take all places, and can take its places again once they are free.
func TestPlacesOfOnePeer(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSiteOf(t, n, proto.AllCaps, 4, 2)
		cred, _ := s.issue(t, proto.CapSend, 0, 0)
		greedy, _ := n.Endpoint(t)
		other, _ := n.Endpoint(t)
		_, first := s.dial(t, greedy, cred, proto.CapSend)
		s.dial(t, greedy, cred, proto.CapSend)
		_, err := greedy.Dial(t.Context(), s.target(cred, proto.CapSend))
		xtest.WantCode(t, "a third dial of one node", err, proto.Busy)
		s.dial(t, other, cred, proto.CapSend)
		first.Close(nil)
		s.dial(t, greedy, cred, proto.CapSend)
		_, err = greedy.Dial(t.Context(), s.target(cred, proto.CapSend))
		xtest.WantCode(t, "a third dial again", err, proto.Busy)
		s.dial(t, other, cred, proto.CapSend)
		_, err = other.Dial(t.Context(), s.target(cred, proto.CapSend))
		xtest.WantCode(t, "a fifth in all", err, proto.Busy)
	})
}
