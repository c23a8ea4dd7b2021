package node_test

import (
	"cmp"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/hub/hubtest"
	"mesh/proto/identity"
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
		text  string // "" for bob
	}{
		{"another key for a known name", true, func(c *hub.Created) { c.Peer = mallory.ID() }, ""},
		{"another key for a bare name", false, func(c *hub.Created) { c.Peer = mallory.ID() }, ""},
		{"altered candidates", true, func(c *hub.Created) { c.SessionToken[len(c.SessionToken)-1] ^= 1 }, ""},
		{"altered candidates of a bare name", false, func(c *hub.Created) { c.SessionToken[len(c.SessionToken)-1] ^= 1 }, ""},
		{"altered signature", true, func(c *hub.Created) { c.Sig[0] ^= 1 }, ""},
		{"another key for a member of a room", false, func(c *hub.Created) { c.Peer = mallory.ID() }, "ops/bob"},
		{"another key for a node id", false, func(c *hub.Created) { c.Peer = mallory.ID() }, "id"},
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
			offer := listening("bob")
			offer.Rooms = []string{"ops"}
			bob.online(t, offer)
			bob.stderr.await(t, "is in room ops")
			if tt.known {
				if err := alice.Book.Add(identity.Peer{Name: "bob", ID: bob.Key.ID()}); err != nil {
					t.Fatal(err)
				}
			}
			text := cmp.Or(tt.text, "bob")
			if text == "id" {
				text = bob.Key.ID().String()
			}
			_, err = alice.dialText(t, text, send)
			xtest.WantCode(t, "dial", err, proto.Identity)
			if got := bob.events.events(t, "peer"); len(got) > 0 {
				t.Errorf("got %d links, want none", len(got))
			}
		})
	}
}

// A hub that lies about who has a name when it is looked up gets no key into the address
// book: neither in place of one that is there, nor of one that an issuer vouches for, nor at
// all in a script.
func TestLyingLookup(t *testing.T) {
	t.Parallel()
	issuer, mallory := xtest.NewKey(t), xtest.NewKey(t)
	for _, tt := range []struct {
		name     string
		known    bool // bob is in the address book
		vouched  bool // bob shows a voucher for his name
		trust    string
		want     proto.Code
		wantName string // that the address book has then; "" for none
	}{
		{"a bare name", false, false, "", proto.Identity, ""},
		{"a name with a voucher", false, true, "", proto.Identity, ""},
		{"a name with a voucher, trusted issuers alone", false, true, "issued", proto.Identity, ""},
		{"a known name", true, false, "hub", proto.OK, "bob"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var victim identity.ID
			l := openLiar(t, func(to identity.ID, e hub.Event) []hub.Event {
				var p hub.Peer
				if to != victim || e.Type != hub.TypePeer || e.Read(&p) != nil {
					return []hub.Event{e}
				}
				p.Node = mallory.ID()
				altered, err := hub.New(e.Type, &p)
				if err != nil {
					panic(err)
				}
				altered.Ref = e.Ref
				return []hub.Event{altered}
			})
			bob, alice := newNode(t, at("", l.URL())), newNode(t, at(tt.trust, l.URL()))
			victim = alice.Key.ID()
			alice.trusts(t, issuer, "name")
			if tt.vouched {
				bob.keep(t, bob.voucher(t, issuer, hub.Voucher{Kind: hub.VoucherName, Text: "bob"}))
			}
			if tt.known {
				if err := alice.Book.Add(identity.Peer{Name: "bob", ID: bob.Key.ID()}); err != nil {
					t.Fatal(err)
				}
			}
			bob.online(t, listening("bob"))
			id, err := alice.Introduce(t.Context(), "bob")
			xtest.WantCode(t, "introduce", err, tt.want)
			if err == nil && id != bob.Key.ID() {
				t.Errorf("got the key %s, want %s", id.Short(), bob.Key.ID().Short())
			}
			if name := alice.Book.NameOf(mallory.ID()); name != "" {
				t.Errorf("the address book has the other key as %s", name)
			}
			if got := alice.Book.NameOf(bob.Key.ID()); got != tt.wantName {
				t.Errorf("the address book has bob as %q, want %q", got, tt.wantName)
			}
		})
	}
}

// A hub that names another key in a room, to who asks and to who watches it, brings no dialer to
// that key, and none into the address book.
func TestLyingRoom(t *testing.T) {
	t.Parallel()
	mallory := xtest.NewKey(t)
	var victim identity.ID
	l := openLiar(t, func(to identity.ID, e hub.Event) []hub.Event {
		var page hub.RoomPeers
		if to != victim || e.Type != hub.TypeRoomPeers || e.Read(&page) != nil {
			return []hub.Event{e}
		}
		for i := range page.Peers {
			page.Peers[i].Node = mallory.ID()
		}
		altered, err := hub.New(e.Type, &page)
		if err != nil {
			panic(err)
		}
		altered.Ref = e.Ref
		return []hub.Event{altered}
	})
	bob, alice := newNode(t, at("", l.URL())), newNode(t, at("hub", l.URL()))
	victim = alice.Key.ID()
	allow(t, bob, alice, proto.CapSend)
	offer := listening("bob")
	offer.Rooms = []string{"ops"}
	w := bob.online(t, offer)
	bob.stderr.await(t, "is in room ops")
	if err := alice.Book.Add(identity.Peer{Name: "bob", ID: bob.Key.ID()}); err != nil {
		t.Fatal(err)
	}
	got, err := alice.Who(t.Context(), "ops")
	if err != nil || len(got.Room) != 1 || got.Room[0].Node != mallory.ID() {
		t.Fatalf("who is in the room: got %+v (%v), want the hub's lie", got.Room, err)
	}
	for _, text := range []string{"bob", "ops/bob"} {
		link, err := alice.dialText(t, text, send)
		if err != nil {
			t.Fatal(err)
		}
		if p := alice.Party(link); p.ID != bob.Key.ID() {
			t.Errorf("%s: got the peer %s, want %s", text, p.ID.Short(), bob.Key.ID().Short())
		}
		accepted, err := w.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		closeBoth(link, accepted)
	}
	if name := alice.Book.NameOf(mallory.ID()); name != "" {
		t.Errorf("the address book has the other key as %s", name)
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

// A room that the hub refuses when the tool begins ends it. One that the hub cannot answer for,
// or does not know of, is a warning.
func TestRoomRefused(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]proto.Code{
		hub.CodeLimit: proto.Busy, hub.CodeDenied: proto.Denied, hub.CodeBadName: proto.Usage,
		hub.CodeUnsupported: proto.OK, hub.CodeInternal: proto.OK, hub.CodeRateLimited: proto.OK,
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			l, err := hubtest.OpenLiar(func(_ identity.ID, e hub.Event) []hub.Event {
				if e.Type != hub.TypeRoomPeers || e.Ref == "" {
					return []hub.Event{e}
				}
				no, err := hub.New(hub.TypeError, &hub.Error{Code: code, Text: "no"})
				if err != nil {
					panic(err)
				}
				no.Ref = e.Ref
				return []hub.Event{no}
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Stop() })
			for _, o := range []node.Offer{
				{Caps: proto.CapSend, Rooms: []string{"ops"}, Max: 1},
				{Caps: proto.CapSend, Rooms: []string{"ops"}, As: "bob", Once: true},
			} {
				bob := newNode(t, at("", l.URL()))
				w, err := bob.Wait(o)
				xtest.WantCode(t, "wait", err, want)
				if err != nil {
					if !strings.Contains(err.Error(), "room ops") {
						t.Errorf("got %v, want the room in it", err)
					}
					continue
				}
				bob.stderr.await(t, "warning: hub ")
				w.Stop()
			}
		})
	}
}
