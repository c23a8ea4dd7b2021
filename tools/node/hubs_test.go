package node_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/hubtest"
	"mesh/proto/identity"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

// silentHub returns the URL of a hub that takes connections and says nothing.
func silentHub(t *testing.T) hub.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return hub.URL{TLS: true, Host: l.Addr().String(), Key: xtest.NewKey(t).ID()} // the kernel accepts
}

func openLiar(t *testing.T, alter func(identity.ID, hub.Event) []hub.Event) *hubtest.Liar {
	t.Helper()
	l, err := hubtest.OpenLiar(alter)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Stop() })
	return l
}

// A hub that is late is asked again when the others know nothing.
func TestLateHub(t *testing.T) {
	t.Parallel()
	dead, empty := openHub(t), openHub(t)
	dead.Stop()
	for name, second := range map[string]hub.URL{"dead": dead.URL(), "does not know the peer": empty.URL()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var slow sync.Map // the members whose first event has waited
			var alice *testNode
			first := openLiar(t, func(to identity.ID, e hub.Event) []hub.Event {
				if alice != nil && to == alice.Key.ID() {
					if _, waited := slow.LoadOrStore(to, true); !waited {
						<-time.After(3 * time.Second / 2)
					}
				}
				return []hub.Event{e}
			})
			alice = newNode(t, at("hub", first.URL(), second))
			bob := newNode(t, at("", first.URL()))
			for _, n := range []*testNode{alice, bob} {
				for _, h := range []interface{ AddMember(identity.ID) error }{first, empty} {
					if err := h.AddMember(n.Key.ID()); err != nil {
						t.Fatal(err)
					}
				}
			}
			allow(t, bob, alice, proto.CapSend)
			w := bob.online(t, listening("bob"))
			l, err := alice.dialText(t, "bob", send)
			if err != nil {
				t.Fatal(err)
			}
			accepted, err := w.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			closeBoth(l, accepted)
		})
	}
}

// A peer is found at the second hub, whatever the first one does, but for a first one that
// names another node.
func TestTwoHubs(t *testing.T) {
	t.Parallel()
	dead := openHub(t)
	dead.Stop()
	empty, stranger := openHub(t), openHub(t)
	mallory := xtest.NewKey(t).ID()
	var drops, lies identity.ID // to whom
	dropping := openLiar(t, func(to identity.ID, e hub.Event) []hub.Event {
		if to == drops && e.Type != hub.TypeChallenge && e.Type != hub.TypeWelcome {
			return nil
		}
		return []hub.Event{e}
	})
	lying := openLiar(t, liesTo(&lies, func(c *hub.Created) { c.Peer = mallory }))
	for _, tt := range []struct {
		name  string
		first hub.URL
		join  bool          // bob is at the first hub too
		limit time.Duration // for the link
		want  proto.Code
	}{
		{"dead", dead.URL(), true, time.Second, proto.OK},
		{"silent", silentHub(t), true, 3 * time.Second, proto.OK},
		{"drops everything", dropping.URL(), false, 3 * time.Second, proto.OK},
		{"drops everything, and knows the peer", dropping.URL(), true, 3 * time.Second, proto.OK},
		{"does not know the peer", empty.URL(), false, time.Second, proto.OK},
		{"does not know this node", stranger.URL(), false, time.Second, proto.OK},
		{"lies", lying.URL(), true, time.Second, proto.Identity},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := openHub(t)
			urls := []hub.URL{tt.first, h.URL()}
			alice := newNode(t, at("hub", urls...))
			bob := newNode(t, at("", urls[1-b2i(tt.join):]...))
			for _, n := range []*testNode{alice, bob} {
				for _, h := range []*hubtest.Hub{h, empty} {
					if err := h.AddMember(n.Key.ID()); err != nil {
						t.Fatal(err)
					}
				}
			}
			drops, lies = alice.Key.ID(), alice.Key.ID()
			allow(t, bob, alice, proto.CapSend)
			w := bob.online(t, listening("bob"))
			began := time.Now()
			l, err := alice.dialText(t, "bob", send)
			xtest.WantCode(t, "dial", err, tt.want)
			if took := time.Since(began); took > tt.limit+2*time.Second { // the machine may be busy
				t.Errorf("the link took %v, want at most %v", took, tt.limit)
			}
			if err != nil {
				return
			}
			accepted, err := w.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			closeBoth(l, accepted)
		})
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A name that the user has accepted at one hub is that key at each hub: another node of that
// name ends the dialer with 21, also while the first hub is down or has forgotten the name,
// and also if the dialer may wait.
func TestNamePinnedElsewhere(t *testing.T) {
	t.Parallel()
	a, b := openHub(t), openHub(t)
	bob, mallory := atHub(t, a, ""), atHub(t, b, "")
	alice := newNode(t, func(o *node.Options) {
		o.Hubs = []hub.URL{a.URL(), b.URL()}
		o.Ask = func(context.Context, string) (string, error) { return "y", nil }
	})
	for _, h := range []*hubtest.Hub{a, b} {
		if err := h.AddMember(alice.Key.ID()); err != nil {
			t.Fatal(err)
		}
	}
	allow(t, bob, alice, proto.CapSend)
	allow(t, mallory, alice, proto.CapSend)
	w := bob.online(t, listening("bob"))
	mallory.online(t, listening("bob"))
	for range 2 { // asked, then pinned
		l, err := alice.dialText(t, "bob", send)
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := w.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		closeBoth(l, accepted)
	}
	waits := send
	waits.Wait = time.Minute
	refused := func(what string) {
		for name, r := range map[string]node.Request{what: send, what + ", with --wait": waits} {
			_, err := alice.dialText(t, "bob", r)
			xtest.WantCode(t, name, err, proto.Identity)
		}
	}
	w.Stop()
	refused("bob has left")
	a.Stop()
	refused("the hub of bob is down")
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	if err := a.Broker.FreeName("admin", "bob"); err != nil {
		t.Fatal(err)
	}
	refused("the hub of bob has forgotten him")
	if got := mallory.events.events(t, "peer"); len(got) > 0 {
		t.Errorf("got %d links to the other bob, want none", len(got))
	}
}
