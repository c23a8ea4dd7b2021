package link_test

import (
	"testing"

	"mesh/proto"
	"mesh/proto/linktest"
)

// Both ends name the path that a link takes.
func TestLinkPath(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 0)
		e, _ := n.Endpoint(t)
		dl, ll := s.dial(t, e, cred, proto.CapSend)
		want := map[string]string{proto.ViaTCP: "lan tcp4", proto.ViaQUIC: "lan udp4"}[dl.Via()]
		if got := [2]string{dl.Path().String(), ll.Path().String()}; got != [2]string{want, want} {
			t.Errorf("got paths %q, want %q at both ends", got, want)
		}
		dl.Close(nil)
		ll.Close(nil)
	})
}
