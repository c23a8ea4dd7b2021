package link_test

import (
	"net/netip"
	"testing"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/token"
	"mesh/proto/xtest"
)

// A ping gets the answer that a dial would get, and takes neither a use of a token nor a
// place.
func TestPing(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.CapSend, 1)
		e, _ := n.Endpoint(t)
		once, _ := s.issue(t, proto.CapSend, 0, 1)
		recv, _ := s.issue(t, proto.CapRecv, 0, 1)
		wrong := once
		wrong.Secret = []byte("another secret that is long enough")
		ask := func(what string, e *link.Endpoint, c token.Credential, caps proto.Caps, want proto.Code) {
			t.Helper()
			got, err := e.Ping(t.Context(), s.target(c, caps))
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			xtest.WantCode(t, what, got.Refused, want)
			if got.Addr != netip.MustParseAddrPort(s.addr()) {
				t.Errorf("%s: got an answer of %s, want %s", what, got.Addr, s.addr())
			}
			if got.Via == proto.ViaQUIC && (got.RTT < 2*latency || got.RTT > 4*latency) { // TCP has no latency here
				t.Errorf("%s: got round trip %s, want about %s", what, got.RTT, 2*latency)
			}
		}
		for range 3 {
			ask("good token", e, once, proto.CapSend, proto.OK)
		}
		ask("wrong secret", e, wrong, proto.CapSend, proto.Denied)
		ask("unknown key", e, token.KeyCredential(), proto.AllCaps, proto.Denied)
		ask("another capability", e, recv, proto.CapRecv, proto.Capability)
		target := s.target(once, proto.CapSend)
		target.ID = xtest.NewKey(t).ID()
		_, err := e.Ping(t.Context(), target)
		xtest.WantCode(t, "another key", err, proto.Identity)
		s.acceptNone(t)

		s.dial(t, e, once, proto.CapSend)
		ask("its own token", e, once, proto.CapSend, proto.OK)
		other, _ := n.Endpoint(t)
		ask("used up", other, once, proto.CapSend, proto.Denied)
	})
}
