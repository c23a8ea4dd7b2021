package link_test

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/path"
	"mesh/proto/xtest"
)

// A listener refuses a path that it does not allow: before it uses up the token, and
// only after the proof. The dialer may come over another.
func TestListenVia(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		via         string
		direct      bool // allowed
		throughHost bool // a relay is allowed
	}{
		{"auto", true, true},
		{"tcp", true, true},
		{"lan", true, false},
		{"direct", true, false},
		{"relay", false, true},
		{"quic", false, false},
	} {
		t.Run(c.via, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: latency, TCP: true}
				via, err := path.ParseVia(c.via)
				if err != nil {
					t.Fatal(err)
				}
				s := newSiteWith(t, n, link.ListenOptions{Offer: proto.AllCaps, Max: 2, Via: via})
				r := serveRelay(t, n, s)
				e, _ := n.Endpoint(t)
				for _, relayed := range []bool{false, true} {
					cred, _ := s.issue(t, proto.CapSend, 0, 1)
					target, allowed := s.target(cred, proto.CapSend), c.direct
					if relayed {
						target, allowed = s.throughRelay(r, cred, proto.CapSend), c.throughHost
					}
					for range 3 { // a refusal uses up nothing
						dl, err := e.Dial(t.Context(), target)
						if !allowed {
							xtest.WantCode(t, "dial", err, proto.Unreachable)
							if !errors.Is(err, handshake.ErrPath) {
								t.Errorf("relayed %v: got %v, want %v", relayed, err, handshake.ErrPath)
							}
							if relayed {
								target = s.throughRelay(r, cred, proto.CapSend)
							}
							continue
						}
						if err != nil {
							t.Fatalf("relayed %v: %v", relayed, err)
						}
						ll := s.accept(t)
						dl.Close(nil)
						ll.Close(nil)
						break
					}
				}
				bad, _ := s.issue(t, proto.CapSend, 0, 1)
				bad.Secret = bytes.Clone(bad.Secret)
				bad.Secret[0] ^= 1
				_, err = e.Dial(t.Context(), s.target(bad, proto.CapSend))
				xtest.WantCode(t, "dial without the secret", err, proto.Denied)
			})
		})
	}
}

// A listener that refuses the path of a redial ends no transfer: it goes on over a path
// that is allowed.
func TestResumeOverAllowedPath(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency, TCP: true}
		s := newSiteWith(t, n, link.ListenOptions{Offer: proto.AllCaps, Max: 1, Via: path.Via{Kind: path.Relay}})
		r := serveRelay(t, n, s)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		target := s.throughRelay(r, cred, proto.CapSend)
		e, _ := n.Endpoint(t)
		n.Cut() // the first dial finds the relay alone
		target.Addrs = []string{s.addr()}
		dl, err := e.Dial(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		ll := s.accept(t)
		n.Heal() // every redial would take the direct path
		dl.Break(errors.New("cut"))
		begun := time.Now()
		dl, ll = resumeBoth(t, dl, ll)
		if took := time.Since(begun); took > time.Second {
			t.Errorf("resumed after %s, want at once over the path that is allowed", took)
		}
		if got := ll.Path().Kind; got != path.Relay {
			t.Errorf("the path is of kind %s, want relay", got)
		}
		echo(t, dl, ll)
		dl.Close(nil)
		ll.Close(nil)
	})
}
