package link_test

import (
	"bytes"
	"testing"

	"mesh/proto"
	"mesh/proto/linktest"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// Both ends of a transfer have the same secret, which the listener finds for the dialer
// alone; and the listener knows whether the transfer has a link, and goes on.
func TestTransfer(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		e, key := n.Endpoint(t)
		dl, ll := s.dial(t, e, cred, proto.CapSend)
		want := dl.Credential()
		got, err := s.endpoint.FindTransfer(want.Public, key.ID())
		if err != nil || !bytes.Equal(got.Secret, want.Secret) || len(want.Secret) == 0 || want.Method != wire.MethodResume {
			t.Errorf("got the secret %x (%v), want %x of method %q", got.Secret, err, want.Secret, want.Method)
		}
		_, err = s.endpoint.FindTransfer(want.Public, xtest.NewKey(t).ID())
		xtest.WantCode(t, "another node", err, proto.Denied)
		_, err = s.endpoint.FindTransfer(want.Public[1:], key.ID())
		xtest.WantCode(t, "a short id", err, proto.Denied)
		wants := func(what string, goesOn, linked bool) {
			t.Helper()
			if a, b := s.endpoint.Transfer(ll.Transfer); a != goesOn || b != linked {
				t.Errorf("%s: goes on %v, linked %v; want %v, %v", what, a, b, goesOn, linked)
			}
		}
		wants("linked", true, true)
		ll.Break(proto.Errorf(proto.Timeout, "nothing heard for long"))
		wants("broken", true, false)
		dl.Break(proto.Errorf(proto.Timeout, "nothing heard for long"))
		next, err := dl.Resume(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if ll, err = ll.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		if dl.Latest() != next || ll.Latest() != ll || next.Latest() != next {
			t.Error("the latest link is not the one that has resumed the transfer")
		}
		wants("resumed", true, true)
		go next.Close(nil)
		ll.Close(nil)
		wants("over", false, false)
	})
}
