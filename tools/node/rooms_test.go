package node_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/hub/hubtest"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/token"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

// roomRules are the rules of a listener, which a test may change.
type roomRules struct {
	mu    sync.Mutex
	rules []node.RoomRule
	err   error
}

func (r *roomRules) now() ([]node.RoomRule, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.rules), r.err
}

func (r *roomRules) set(err error, rules ...node.RoomRule) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rules, r.err = rules, err
}

// withRules returns a listener with rules for rooms.
func withRules(t *testing.T, h *hubtest.Hub, rules ...node.RoomRule) (*testNode, *roomRules) {
	t.Helper()
	r := &roomRules{rules: rules}
	n := newNode(t, func(o *node.Options) { o.Hubs, o.Rooms = []hub.URL{h.URL()}, r.now })
	if err := h.AddMember(n.Key.ID()); err != nil {
		t.Fatal(err)
	}
	return n, r
}

// A dialer that shows a voucher for a room by the owner in the rule gets what the rule
// allows, and no more. No other voucher gives a right.
func TestRoomRule(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	owner, deputy, stranger := xtest.NewKey(t), xtest.NewKey(t), xtest.NewKey(t)
	all := proto.CapSend | proto.CapRecv | proto.CapTTYView | proto.CapTTYControl
	for _, tt := range []struct {
		name  string
		v     hub.Voucher
		by    *identity.Key
		allow proto.Caps
		want  proto.Caps // 0 for a refusal
		code  proto.Code
	}{
		{"owner", hub.Voucher{Kind: hub.VoucherRoom, Text: "ops"}, owner, proto.CapSend | proto.CapRecv | proto.CapTTYView, proto.CapSend | proto.CapRecv, proto.OK},
		{"this-hub", hub.Voucher{Kind: hub.VoucherRoom, Text: "ops", Hub: h.Key.ID()}, owner, proto.CapSend, proto.CapSend, proto.OK},
		{"trusted", hub.Voucher{Kind: hub.VoucherRoom, Text: "ops"}, deputy, proto.CapSend, proto.CapSend, proto.OK},
		{"not-allowed", hub.Voucher{Kind: hub.VoucherRoom, Text: "ops"}, owner, proto.CapTTYView, 0, proto.Denied},
		{"control", hub.Voucher{Kind: hub.VoucherRoom, Text: "ops"}, owner, proto.CapTTYControl, 0, proto.Denied},
		{"another-room", hub.Voucher{Kind: hub.VoucherRoom, Text: "dev"}, owner, all, 0, proto.Denied},
		{"another-hub", hub.Voucher{Kind: hub.VoucherRoom, Text: "ops", Hub: stranger.ID()}, owner, all, 0, proto.Denied},
		{"stranger", hub.Voucher{Kind: hub.VoucherRoom, Text: "ops"}, stranger, all, 0, proto.Denied},
		{"admit", hub.Voucher{Kind: hub.VoucherAdmit}, owner, all, 0, proto.Denied},
		{"name", hub.Voucher{Kind: hub.VoucherName, Text: "ops"}, owner, all, 0, proto.Denied},
		{"expired", hub.Voucher{Kind: hub.VoucherRoom, Text: "ops", Expires: time.Now().Add(-hub.DateSlack)}, owner, all, 0, proto.Denied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bob, _ := withRules(t, h, node.RoomRule{Room: "other", Owner: stranger.ID(), Allow: all}, node.RoomRule{Room: "ops", Owner: owner.ID(), Allow: tt.allow})
			bob.trusts(t, deputy, "room:ops")
			for _, word := range []string{"name", "admit", "room:dev"} {
				bob.trusts(t, stranger, word)
			}
			alice := atHub(t, h, "hub")
			v := alice.voucher(t, tt.by, tt.v)
			alice.keep(t, v)
			offer := listening(tt.name)
			offer.Caps = all
			w := bob.online(t, offer)
			l, err := alice.dialText(t, tt.name, send)
			xtest.WantCode(t, "dial", err, tt.code)
			if err != nil {
				return
			}
			accepted, err := w.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if accepted.Granted != tt.want || accepted.Token == nil || bob.Party(accepted).Trust != "" {
				t.Errorf("got %s by token %v with trust %q, want %s by a token, and no trust", accepted.Granted, accepted.Token, bob.Party(accepted).Trust, tt.want)
			}
			if caps, err := bob.Book.Authorized(alice.Key.ID()); caps != 0 || err != nil {
				t.Errorf("alice may %s (%v), want nothing for good", caps, err)
			}
			closeBoth(l, accepted)
		})
	}
}

// A room never gives control of a terminal, whatever the rule says.
func TestRoomNoControl(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	owner := xtest.NewKey(t)
	bob, _ := withRules(t, h, node.RoomRule{Room: "ops", Owner: owner.ID(), Allow: proto.AllCaps})
	alice := atHub(t, h, "hub")
	alice.keep(t, alice.voucher(t, owner, hub.Voucher{Kind: hub.VoucherRoom, Text: "ops"}))
	offer := listening("bob")
	offer.Caps = proto.AllCaps
	w := bob.online(t, offer)
	l, err := alice.dialText(t, "bob", node.Request{Want: proto.AllCaps, Need: proto.CapSend})
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := w.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := proto.AllCaps &^ proto.CapTTYControl; accepted.Granted != want {
		t.Errorf("got %s, want %s", accepted.Granted, want)
	}
	closeBoth(l, accepted)
}

// When what has let a dialer in is gone, its link ends with 20, and so does a new one: the
// rule, the owner, the voucher, the issuer, and, for a user's yes, the token.
func TestReasonGone(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	for name, tt := range map[string]struct {
		deputy bool // vouches in place of the owner
		asks   bool // the user says yes; there is no voucher
		gone   func(t *testing.T, bob *testNode, rules *roomRules, owner *identity.Key, v hub.Voucher, id token.ID)
	}{
		"rule": {gone: func(_ *testing.T, _ *testNode, r *roomRules, _ *identity.Key, _ hub.Voucher, _ token.ID) { r.set(nil) }},
		"rule-for-less": {gone: func(_ *testing.T, _ *testNode, r *roomRules, o *identity.Key, _ hub.Voucher, _ token.ID) {
			r.set(nil, node.RoomRule{Room: "ops", Owner: o.ID(), Allow: proto.CapTTYView})
		}},
		"owner": {gone: func(t *testing.T, _ *testNode, r *roomRules, _ *identity.Key, _ hub.Voucher, _ token.ID) {
			r.set(nil, node.RoomRule{Room: "ops", Owner: xtest.NewKey(t).ID(), Allow: proto.CapSend})
		}},
		"voucher": {gone: func(t *testing.T, bob *testNode, _ *roomRules, _ *identity.Key, v hub.Voucher, _ token.ID) {
			xtest.WantCode(t, "revoke", token.Revoke(bob.Book.Dir, v.ID), proto.OK)
		}},
		"issuer": {deputy: true, gone: func(t *testing.T, bob *testNode, _ *roomRules, _ *identity.Key, v hub.Voucher, _ token.ID) {
			if found, err := (agent.Issuers{Dir: bob.Book.Dir}).Forget(v.Issuer); !found || err != nil {
				t.Errorf("forget: got %v, %v", found, err)
			}
		}},
		"yes": {asks: true, gone: func(t *testing.T, bob *testNode, _ *roomRules, _ *identity.Key, _ hub.Voucher, id token.ID) {
			xtest.WantCode(t, "revoke", token.Revoke(bob.Book.Dir, id), proto.OK)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			owner, deputy := xtest.NewKey(t), xtest.NewKey(t)
			rules := &roomRules{rules: []node.RoomRule{{Room: "ops", Owner: owner.ID(), Allow: proto.CapSend}}}
			bob := newNode(t, func(o *node.Options) {
				o.Hubs, o.Rooms = []hub.URL{h.URL()}, rules.now
				if tt.asks {
					o.Ask = func(context.Context, string) (string, error) { return "y", nil }
				}
			})
			alice := atHub(t, h, "hub")
			xtest.WantCode(t, "add member", h.AddMember(bob.Key.ID()), proto.OK)
			by := owner
			if tt.deputy {
				by = deputy
				bob.trusts(t, deputy, "room:ops")
			}
			v := alice.voucher(t, by, hub.Voucher{Kind: hub.VoucherRoom, Text: "ops"})
			if !tt.asks {
				alice.keep(t, v)
			}
			offer := listening(name)
			offer.Asks = tt.asks
			w := bob.online(t, offer)
			l, err := alice.dialText(t, name, send)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close(nil)
			accepted, err := w.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer accepted.Close(nil)
			if err := bob.Tokens.CheckAccess(accepted.Peer, accepted.Token, accepted.Granted); err != nil {
				t.Fatalf("while nothing has changed: %v", err)
			}
			tt.gone(t, bob, rules, owner, v, *accepted.Token)
			xtest.WantCode(t, "a resume", bob.Tokens.CheckAccess(accepted.Peer, accepted.Token, accepted.Granted), proto.Denied)
			xtest.WantCode(t, "the link", awaitEnd(l), proto.Denied)
			if !tt.asks {
				_, err = alice.dialText(t, name, send)
				xtest.WantCode(t, "a new link", err, proto.Denied)
			}
		})
	}
}

// awaitEnd blocks until the peer has closed the link, and returns why.
func awaitEnd(l *link.Link) error {
	_, err := l.Read(make([]byte, 1))
	return err
}

// Rules that cannot be read let nobody in, and end no link.
func TestRoomRulesUnreadable(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	owner := xtest.NewKey(t)
	rule := node.RoomRule{Room: "ops", Owner: owner.ID(), Allow: proto.CapSend}
	bob, rules := withRules(t, h, rule)
	alice := atHub(t, h, "hub")
	alice.keep(t, alice.voucher(t, owner, hub.Voucher{Kind: hub.VoucherRoom, Text: "ops"}))
	w := bob.online(t, listening("bob"))
	l, err := alice.dialText(t, "bob", send)
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := w.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rules.set(errors.New("a mistake"))
	_, err = alice.dialText(t, "bob", send)
	xtest.WantCode(t, "dial", err, proto.Denied)
	xtest.WantCode(t, "the link", bob.Tokens.CheckAccess(accepted.Peer, accepted.Token, accepted.Granted), proto.OK)
	rules.set(nil, rule)
	if err := os.WriteFile(filepath.Join(bob.Book.Dir, agent.IssuersFile), []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	xtest.WantCode(t, "the link, owner's voucher", bob.Tokens.CheckAccess(accepted.Peer, accepted.Token, accepted.Granted), proto.OK)
	closeBoth(l, accepted)
}
