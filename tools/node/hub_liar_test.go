package node_test

import (
	"context"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/hub/hubtest"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

// liesTo returns an alter function for one node that changes p2p.session.created.
func liesTo(victim *identity.ID, change func(*hub.Created)) func(identity.ID, hub.Event) []hub.Event {
	return func(to identity.ID, e hub.Event) []hub.Event {
		var c hub.Created
		if to != *victim || e.Type != hub.TypeCreated || e.Read(&c) != nil || c.Role != hub.RoleDialer {
			return []hub.Event{e}
		}
		change(&c)
		altered, err := hub.New(e.Type, &c)
		if err != nil {
			panic(err)
		}
		altered.From, altered.Name = e.From, e.Name
		return []hub.Event{altered}
	}
}

// A hub that lies cannot put another node in the place of a peer whose key is known, nor
// send a dialer elsewhere: the tool ends with 21.
func TestLyingHub(t *testing.T) {
	t.Parallel()
	mallory := xtest.NewKey(t)
	for _, tt := range []struct {
		name  string
		known bool // bob is in the address book
		lie   func(*hub.Created)
	}{
		{"another key for a known name", true, func(c *hub.Created) { c.Peer = mallory.ID() }},
		{"another key for a bare name", false, func(c *hub.Created) { c.Peer = mallory.ID() }},
		{"altered candidates", true, func(c *hub.Created) { c.SessionToken[len(c.SessionToken)-1] ^= 1 }},
		{"altered candidates of a bare name", false, func(c *hub.Created) { c.SessionToken[len(c.SessionToken)-1] ^= 1 }},
		{"altered signature", true, func(c *hub.Created) { c.Sig[0] ^= 1 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var victim identity.ID
			l, err := hubtest.OpenLiar(liesTo(&victim, tt.lie))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Stop() })
			bob, alice := newNode(t, at("", l.URL())), newNode(t, at("hub", l.URL()))
			victim = alice.Key.ID()
			allow(t, bob, alice, proto.CapSend)
			bob.online(t, listening("bob"))
			if tt.known {
				if err := alice.Book.Add(identity.Peer{Name: "bob", ID: bob.Key.ID()}); err != nil {
					t.Fatal(err)
				}
			}
			_, err = alice.dialText(t, "bob", send)
			xtest.WantCode(t, "dial", err, proto.Identity)
			if got := bob.events.events(t, "peer"); len(got) > 0 {
				t.Errorf("got %d links, want none", len(got))
			}
		})
	}
}

// The hub's other bob, whose listener is real and lets everybody in, is not the bob of the
// address book: asked by id, the hub finds the right one, whatever the name says.
func TestSwappedName(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob, mallory, alice := atHub(t, h, ""), atHub(t, h, ""), atHub(t, h, "hub")
	for _, n := range []*testNode{bob, mallory} {
		allow(t, n, alice, proto.CapSend)
	}
	mallory.online(t, listening("bob"))
	w := bob.online(t, listening("robert"))
	if err := alice.Book.Add(identity.Peer{Name: "bob", ID: bob.Key.ID()}); err != nil {
		t.Fatal(err)
	}
	l, err := alice.dialText(t, "bob", send)
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := w.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	closeBoth(l, accepted)
	w.Stop()
	_, err = alice.dialText(t, "bob", send)
	xtest.WantCode(t, "bob is gone, the other one is there", err, proto.Unreachable)
}

// A node without rights is let in once if the user says so, by a token for it alone.
func TestQuestion(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	alice, carol := atHub(t, h, "hub"), atHub(t, h, "hub")
	var questions []string
	bob := newNode(t, func(o *node.Options) {
		o.Hubs = []hub.URL{h.URL()}
		o.Ask = func(_ context.Context, q string) (bool, error) {
			questions = append(questions, q)
			return strings.Contains(q, alice.Key.ID().String()), nil
		}
	})
	if err := h.AddMember(bob.Key.ID()); err != nil {
		t.Fatal(err)
	}
	offer := listening("bob")
	offer.Asks = true
	w := bob.online(t, offer)
	var l *link.Link
	var err error
	for _, tt := range []struct {
		from *testNode
		want proto.Code
	}{{carol, proto.Declined}, {carol, proto.Declined}, {alice, proto.OK}} {
		l, err = tt.from.dialText(t, "bob", send)
		xtest.WantCode(t, tt.from.Key.ID().Short(), err, tt.want)
	}
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := w.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if p := bob.Party(accepted); accepted.Peer != alice.Key.ID() || accepted.Token == nil || p.Trust != "" {
		t.Errorf("got %s with token %v and trust %q, want alice with one and without trust", accepted.Peer.Short(), accepted.Token, p.Trust)
	}
	if len(questions) != 2 || !strings.Contains(questions[1], "wants to send") {
		t.Errorf("got the questions %q, want one for each node", questions)
	}
	closeBoth(l, accepted)
	if caps, err := bob.Book.Authorized(alice.Key.ID()); caps != 0 || err != nil {
		t.Errorf("alice may %s (%v), want nothing for good", caps, err)
	}
}

// The key of a hub whose URL names none is kept.
func TestKeepHub(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bare := h.URL()
	bare.TLS, bare.Key = false, identity.ID{} // TLS would need an authority
	alice := newNode(t, at("hub", bare))
	if err := h.AddMember(alice.Key.ID()); err != nil {
		t.Fatal(err)
	}
	_, err := alice.dialText(t, "bob", send)
	xtest.WantCode(t, "dial", err, proto.Unreachable)
	known, err := agent.Known{Dir: alice.Book.Dir}.List()
	if err != nil || len(known) != 1 || known[0].Key != h.Key.ID() {
		t.Errorf("known_hubs has %v, %v, want the hub's key", known, err)
	}
}
