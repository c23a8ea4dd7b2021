package node_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/hubtest"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

// asker waits at a hub as bob, with somebody who answers questions.
func asker(t *testing.T, h *hubtest.Hub, answer func(question string) string) (*testNode, *node.Waiter) {
	t.Helper()
	bob := newNode(t, func(o *node.Options) {
		o.Hubs = []hub.URL{h.URL()}
		o.Ask = func(_ context.Context, q string) (string, error) { return answer(q), nil }
	})
	if err := h.AddMember(bob.Key.ID()); err != nil {
		t.Fatal(err)
	}
	offer := listening("bob")
	offer.Asks = true
	return bob, bob.online(t, offer)
}

func wordsOf(n *testNode) string { return strings.Join(hub.KeyWords(n.Key.ID()), "-") }

// A node without rights is let in once if the user says so, by a token for it alone. The
// question has all words of its key, and its name as the hub's word.
func TestQuestion(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	alice, carol := atHub(t, h, "hub"), atHub(t, h, "hub")
	carol.online(t, listening("carol"))
	var questions []string
	bob, w := asker(t, h, func(q string) string {
		if questions = append(questions, q); strings.Contains(q, wordsOf(alice)) {
			return "yes"
		}
		return "no"
	})
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
	want := []string{
		`"carol" (says ` + h.URL().Name() + `), key ` + wordsOf(carol) + ` (8 words), wants to send and receive: allow? [y/N/always] `,
		`a node without a name (says ` + h.URL().Name() + `), key ` + wordsOf(alice) + ` (8 words), wants to send and receive: allow? [y/N/always] `,
	}
	if !slices.Equal(questions, want) {
		t.Errorf("got the questions %q, want %q", questions, want)
	}
	closeBoth(l, accepted)
	if caps, err := bob.Book.Authorized(alice.Key.ID()); caps != 0 || err != nil {
		t.Errorf("alice may %s (%v), want nothing for good", caps, err)
	}
}

// The answer "always" is mesh-token allow: no second question comes, and with the line the
// link ends. A node whose key the user has named is shown by that name.
func TestQuestionAlways(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	alice := atHub(t, h, "hub")
	var questions []string
	bob, w := asker(t, h, func(q string) string { questions = append(questions, q); return "always" })
	if err := bob.Book.Add(identity.Peer{Name: "ally", ID: alice.Key.ID()}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		l, err := alice.dialText(t, "bob", send)
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := w.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if accepted.Token != nil {
			t.Error("the link hangs on a token, want it to hang on the line of authorized_peers")
		}
		closeBoth(l, accepted)
	}
	if want := []string{"ally (pinned) wants to send and receive: allow? [y/N/always] "}; !slices.Equal(questions, want) {
		t.Errorf("got the questions %q, want %q", questions, want)
	}
	if caps, err := bob.Book.Authorized(alice.Key.ID()); caps != proto.CapSend|proto.CapRecv || err != nil {
		t.Errorf("alice may %s (%v), want send,recv", caps, err)
	}
}

// Introduce looks a peer up, shows the words of its key, and pins it: with the user's yes,
// or without a question if the word of the hub is enough. A script learns nothing to pin.
func TestIntroduce(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob := atHub(t, h, "")
	bob.online(t, listening("bob"))
	name := "bob@" + h.URL().Name()
	for _, tt := range []struct {
		what, trust, answer string
		want                proto.Code
	}{
		{"a script", "", "", proto.Identity},
		{"no", "", "n", proto.Declined},
		{"yes", "", "y", proto.OK},
		{"the hub's word", "hub", "", proto.OK},
		{"no hub's word", "pinned", "", proto.Identity},
	} {
		asked := ""
		alice := newNode(t, func(o *node.Options) {
			o.Hubs, o.Trust = []hub.URL{h.URL()}, tt.trust
			if tt.answer != "" {
				o.Ask = func(_ context.Context, q string) (string, error) { asked = q; return tt.answer, nil }
			}
		})
		if err := h.AddMember(alice.Key.ID()); err != nil {
			t.Fatal(err)
		}
		id, err := alice.Introduce(t.Context(), name)
		xtest.WantCode(t, tt.what, err, tt.want)
		pinned, found, _ := alice.Book.Lookup(name)
		if found != (tt.want == proto.OK) || found && (pinned.ID != bob.Key.ID() || id != pinned.ID) {
			t.Errorf("%s: got %s, pinned %v %s", tt.what, id, found, pinned.ID)
		}
		if shown := asked + alice.stderr.String(); tt.want != proto.Identity && !strings.Contains(shown, wordsOf(bob)) {
			t.Errorf("%s: got %q, want the words of the key", tt.what, shown)
		}
		_, err = alice.Introduce(t.Context(), "nobody@"+h.URL().Name())
		xtest.WantCode(t, "nobody", err, proto.Unreachable)
	}
}

// A dialer that shows a voucher for its name, by an issuer that this node trusts with names,
// is asked about by that name, whatever a hub calls it, and its link has the grade issued.
func TestQuestionIssued(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	issuer, stranger := xtest.NewKey(t), xtest.NewKey(t)
	for _, tt := range []struct {
		name  string
		vouch hub.Voucher
		by    *identity.Key
		trust string
		known bool
	}{
		{"a name", hub.Voucher{Kind: hub.VoucherName, Text: "alice"}, issuer, "name", true},
		{"of another issuer", hub.Voucher{Kind: hub.VoucherName, Text: "alice"}, stranger, "name", false},
		{"of an issuer for another thing", hub.Voucher{Kind: hub.VoucherName, Text: "alice"}, issuer, "admit", false},
		{"another kind", hub.Voucher{Kind: hub.VoucherAdmit}, issuer, "name", false},
		{"expired", hub.Voucher{Kind: hub.VoucherName, Text: "alice", Expires: time.Now().Add(-hub.DateSlack)}, issuer, "name", false},
	} {
		alice := atHub(t, h, "hub")
		alice.keep(t, alice.voucher(t, tt.by, tt.vouch))
		name := "bob-" + strings.ReplaceAll(tt.name, " ", "-")
		asked := make(chan string, 9)
		bob := newNode(t, func(o *node.Options) {
			o.Hubs = []hub.URL{h.URL()}
			o.Ask = func(_ context.Context, q string) (string, error) { asked <- q; return "yes", nil }
		})
		if err := h.AddMember(bob.Key.ID()); err != nil {
			t.Fatal(err)
		}
		bob.trusts(t, issuer, tt.trust)
		offer := listening(name)
		offer.Asks = true
		w := bob.online(t, offer)
		l, err := alice.dialText(t, name, send)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		accepted, err := w.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		question, p := <-asked, bob.Party(accepted)
		if got := strings.HasPrefix(question, "alice (issued) wants to "); got != tt.known {
			t.Errorf("%s: got the question %q", tt.name, question)
		}
		if got := p.Trust == node.GradeIssued && p.Label() == "alice"; got != tt.known || !tt.known && p.Trust != "" {
			t.Errorf("%s: got trust %q of %s, want issued: %v", tt.name, p.Trust, p.Label(), tt.known)
		}
		closeBoth(l, accepted)
	}
}

// The user is asked five questions a minute, whoever asks: a hub makes as many nodes as it
// likes, and a node may take its request back and ask again. Others hear that the peer is busy.
func TestQuestionRate(t *testing.T) {
	t.Parallel()
	const most = 5
	for name, cancels := range map[string]bool{"nodes": false, "a node that cancels": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := openHub(t)
			asked, done := make(chan string, 2*most), make(chan error, 2*most)
			bob := newNode(t, func(o *node.Options) {
				o.Hubs = []hub.URL{h.URL()}
				o.Ask = func(ctx context.Context, q string) (string, error) {
					asked <- q
					if cancels {
						<-ctx.Done()
						done <- ctx.Err()
						return "", ctx.Err()
					}
					return "no", nil
				}
			})
			bob.member(t, h)
			offer := listening("bob")
			offer.Asks = true
			bob.online(t, offer)
			p := node.PeerText{Text: "bob"}
			alice := atHub(t, h, "hub")
			for i := range most {
				if !cancels {
					_, err := atHub(t, h, "hub").dialText(t, "bob", send)
					xtest.WantCode(t, fmt.Sprint("node ", i+1), err, proto.Declined)
					continue
				}
				peer, err := alice.Peer(t.Context(), p)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() {
					_, err := alice.Dial(ctx, peer, send)
					ended <- err
				}()
				<-asked
				cancel()
				if err := <-ended; err == nil {
					t.Error("a request that was cancelled: got a link")
				}
				<-done
			}
			_, err := alice.dialText(t, "bob", send)
			xtest.WantCode(t, "one more", err, proto.Busy)
			if n := len(asked); !cancels && n != most || cancels && n > 0 {
				t.Errorf("the user was asked %d questions more", n)
			}
		})
	}
}
