package node_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/hub/hubtest"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

// voucher returns a voucher about n; Expires is an hour from now if v has none.
func (n *testNode) voucher(t *testing.T, by *identity.Key, v hub.Voucher) hub.Voucher {
	t.Helper()
	v.Subject = n.Key.ID()
	if v.Expires.IsZero() {
		v.Expires = time.Now().Add(time.Hour)
	}
	v, err := hub.NewVoucher(by, v)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// keep makes n show vouchers at its next login.
func (n *testNode) keep(t *testing.T, list ...hub.Voucher) {
	t.Helper()
	for _, v := range list {
		if err := (agent.Vouchers{Dir: n.Book.Dir}).Add(v, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
}

// trusts makes n trust an issuer with what a word says.
func (n *testNode) trusts(t *testing.T, issuer *identity.Key, word string) {
	t.Helper()
	i, err := agent.ParseIssuer([]string{issuer.ID().String(), word})
	if err != nil {
		t.Fatal(err)
	}
	if err := (agent.Issuers{Dir: n.Book.Dir}).Add(i); err != nil {
		t.Fatal(err)
	}
}

// A peer that is asked by name, and shows a voucher for that name by an issuer that this
// node trusts, is known for sure. Nothing else makes it so: no other kind, no other name,
// issuer or hub, and no voucher that is over or revoked.
func TestIssued(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	issuer, admits, stranger := xtest.NewKey(t), xtest.NewKey(t), xtest.NewKey(t)
	for _, tt := range []struct {
		name    string
		vouch   []hub.Voucher
		by      *identity.Key
		trust   string
		revoked bool
		want    node.Grade // "" for a refusal with 21
	}{
		{"plain", []hub.Voucher{{Kind: hub.VoucherName}}, issuer, "", false, node.GradeIssued},
		{"this-hub", []hub.Voucher{{Kind: hub.VoucherName, Hub: h.Key.ID()}}, issuer, "code", false, node.GradeIssued},
		{"among-others", []hub.Voucher{{Kind: hub.VoucherAdmit}, {Kind: hub.VoucherRoom, Text: "ops"}, {Kind: hub.VoucherName}}, issuer, "issued", false, node.GradeIssued},
		{"trust-hub", []hub.Voucher{{Kind: hub.VoucherName}}, issuer, "hub", false, node.GradeIssued},
		{"trust-pinned", []hub.Voucher{{Kind: hub.VoucherName}}, issuer, "pinned", false, ""},
		{"none", nil, issuer, "", false, ""},
		{"none-trust-hub", nil, issuer, "hub", false, node.GradeHub},
		{"none-trust-issued", nil, issuer, "issued", false, ""},
		{"admit", []hub.Voucher{{Kind: hub.VoucherAdmit}}, issuer, "", false, ""},
		{"room", []hub.Voucher{{Kind: hub.VoucherRoom, Text: "room"}}, issuer, "", false, ""},
		{"trusted-admit", []hub.Voucher{{Kind: hub.VoucherAdmit}}, admits, "", false, ""},
		{"trusted-room", []hub.Voucher{{Kind: hub.VoucherRoom, Text: "trusted-room"}}, admits, "", false, ""},
		{"another-name", []hub.Voucher{{Kind: hub.VoucherName, Text: "alice"}}, issuer, "", false, ""},
		{"another-hub", []hub.Voucher{{Kind: hub.VoucherName, Hub: stranger.ID()}}, issuer, "", false, ""},
		{"expired", []hub.Voucher{{Kind: hub.VoucherName, Expires: time.Now().Add(-hub.DateSlack)}}, issuer, "", false, ""},
		{"stranger", []hub.Voucher{{Kind: hub.VoucherName}}, stranger, "", false, ""},
		{"trusted-otherwise", []hub.Voucher{{Kind: hub.VoucherName}}, admits, "", false, ""},
		{"revoked", []hub.Voucher{{Kind: hub.VoucherName}}, issuer, "", true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bob, alice := atHub(t, h, ""), atHub(t, h, tt.trust)
			allow(t, bob, alice, proto.CapSend)
			alice.trusts(t, issuer, "name")
			alice.trusts(t, admits, "admit")
			alice.trusts(t, admits, "room:"+tt.name)
			for _, v := range tt.vouch {
				if v.Text == "" && v.Kind == hub.VoucherName {
					v.Text = tt.name
				}
				v = bob.voucher(t, tt.by, v)
				bob.keep(t, v)
				if tt.revoked {
					if err := token.Revoke(alice.Book.Dir, v.ID); err != nil {
						t.Fatal(err)
					}
				}
			}
			w := bob.online(t, listening(tt.name))
			l, err := alice.dialText(t, tt.name, send)
			if tt.want == "" {
				xtest.WantCode(t, "dial", err, proto.Identity)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			accepted, err := w.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if p := alice.Party(l); p.Trust != tt.want || !slices.Contains(p.Env(), "MESH_TRUST="+string(tt.want)) {
				t.Errorf("got trust %q and %q, want %q", p.Trust, p.Env(), tt.want)
			}
			closeBoth(l, accepted)
		})
	}
}

// A list of issuers that cannot be understood lets nobody pass for a name.
func TestIssuersUnreadable(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	issuer := xtest.NewKey(t)
	bob, alice := atHub(t, h, ""), atHub(t, h, "")
	bob.keep(t, bob.voucher(t, issuer, hub.Voucher{Kind: hub.VoucherName, Text: "bob"}))
	allow(t, bob, alice, proto.CapSend)
	alice.trusts(t, issuer, "name")
	if err := os.WriteFile(filepath.Join(alice.Book.Dir, agent.IssuersFile), []byte("everybody\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bob.online(t, listening("bob"))
	_, err := alice.dialText(t, "bob", send)
	xtest.WantCode(t, "dial", err, proto.Config)
}

// vouchedFor returns an alter function for one node that names another key, with vouchers,
// in what the hub says.
func vouchedFor(victim, mallory *identity.ID, vouchers ...*string) func(identity.ID, hub.Event) []hub.Event {
	return liesTo(victim, func(c *hub.Created) {
		if *mallory != (identity.ID{}) {
			c.Peer = *mallory
		}
		c.Vouchers = nil
		for _, v := range vouchers {
			c.Vouchers = append(c.Vouchers, *v)
		}
	})
}

// A hub that lies gets no byte of a script for a name that an issuer vouches for: neither by
// another key with the peer's own voucher, nor with another member's vouchers of other
// kinds.
func TestLyingHubVouchers(t *testing.T) {
	t.Parallel()
	issuer := xtest.NewKey(t)
	for name, tt := range map[string]struct {
		swap bool // another key, else the voucher alone is changed
		kind hub.VoucherKind
		text string
		own  bool // the voucher is that of bob
	}{
		"another key with bob's voucher":             {true, hub.VoucherName, "bob", true},
		"another member's admit voucher":             {true, hub.VoucherAdmit, "", false},
		"another member's room voucher":              {true, hub.VoucherRoom, "bob", false},
		"another member's voucher of another name":   {true, hub.VoucherName, "mallory", false},
		"another member's voucher about bob himself": {false, hub.VoucherName, "bob", false},
		"bob's admit voucher in place of his name":   {false, hub.VoucherAdmit, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var victim, other identity.ID
			var shown string
			l, err := hubtest.OpenLiar(vouchedFor(&victim, &other, &shown))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Stop() })
			bob, alice, mallory := newNode(t, at("", l.URL())), newNode(t, at("", l.URL())), newNode(t, at("", l.URL()))
			victim = alice.Key.ID()
			if tt.swap {
				other = mallory.Key.ID()
			}
			about := mallory
			if tt.own {
				about = bob
			}
			if shown, err = about.voucher(t, issuer, hub.Voucher{Kind: tt.kind, Text: tt.text}).Encode(); err != nil {
				t.Fatal(err)
			}
			allow(t, bob, alice, proto.CapSend)
			alice.trusts(t, issuer, "name")
			bob.online(t, listening("bob"))
			_, err = alice.dialText(t, "bob", send)
			xtest.WantCode(t, "dial", err, proto.Identity)
			if got := bob.events.events(t, "peer"); len(got) > 0 {
				t.Errorf("got %d links, want none", len(got))
			}
		})
	}
}

// A member that has the name at the hub, and whose listener is real, is not the one whose
// name an issuer vouches for: his own admit and room vouchers do not help.
func TestVouchedNameOfAnother(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	issuer := xtest.NewKey(t)
	mallory, alice := atHub(t, h, ""), atHub(t, h, "")
	mallory.keep(t, mallory.voucher(t, issuer, hub.Voucher{Kind: hub.VoucherAdmit}),
		mallory.voucher(t, issuer, hub.Voucher{Kind: hub.VoucherRoom, Text: "bob"}), mallory.voucher(t, issuer, hub.Voucher{Kind: hub.VoucherName, Text: "mallory"}))
	allow(t, mallory, alice, proto.CapSend)
	for _, word := range []string{"name", "admit", "room:bob"} {
		alice.trusts(t, issuer, word)
	}
	mallory.online(t, listening("bob"))
	_, err := alice.dialText(t, "bob", send)
	xtest.WantCode(t, "dial", err, proto.Identity)
	if got := mallory.events.events(t, "peer"); len(got) > 0 {
		t.Errorf("got %d links, want none", len(got))
	}
}

// A bare name that is pinned at one hub is that key at every hub: another hub's node of
// that name is refused, also while the first hub is down, and with a voucher.
func TestPinnedAtOneHub(t *testing.T) {
	t.Parallel()
	a, b := openHub(t), openHub(t)
	issuer := xtest.NewKey(t)
	bob, other := atHub(t, a, ""), atHub(t, b, "")
	alice := newNode(t, func(o *node.Options) {
		o.Hubs, o.Ask = []hub.URL{a.URL(), b.URL()}, func(context.Context, string) (string, error) { return "y", nil }
	})
	for _, h := range []*hubtest.Hub{a, b} {
		if err := h.AddMember(alice.Key.ID()); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []*testNode{bob, other} {
		allow(t, n, alice, proto.CapSend)
	}
	other.keep(t, other.voucher(t, issuer, hub.Voucher{Kind: hub.VoucherName, Text: "bob"}))
	alice.trusts(t, issuer, "name")
	w := bob.online(t, listening("bob"))
	other.online(t, listening("bob"))
	l, err := alice.dialText(t, "bob", send) // at a, and is pinned
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := w.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if p := alice.Party(l); p.ID != bob.Key.ID() {
		t.Fatalf("got %s, want bob of the first hub", p.ID.Short())
	}
	closeBoth(l, accepted)
	w.Stop()
	for _, down := range []bool{false, true} {
		if down {
			a.Stop()
		}
		_, err = alice.dialText(t, "bob", send)
		xtest.WantCode(t, "bob is gone", err, proto.Identity)
		if got := other.events.events(t, "peer"); len(got) > 0 {
			t.Errorf("got %d links with the other bob, want none", len(got))
		}
	}
}
