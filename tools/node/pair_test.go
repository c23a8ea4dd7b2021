package node_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/hub/hubtest"
	"mesh/proto/identity"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

var shownForPairing = regexp.MustCompile(`run: mesh-test (\S+)`)

// decider decides for the user of one end.
type decider func(ctx context.Context) (node.Terms, error)

// called gives the other node a name, and lets it send.
func called(name string) decider {
	return func(context.Context) (node.Terms, error) {
		return node.Terms{Name: name, Caps: proto.CapSend}, nil
	}
}

// pair pairs bob, who shows a code or a token, with alice. It returns how both have ended.
func pair(t *testing.T, bob, alice *testNode, ofBob, ofAlice decider) (bobErr, aliceErr error) {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- bob.pair(t.Context(), "", ofBob) }()
	bob.stderr.await(t, "run: mesh-test ")
	aliceErr = alice.pair(t.Context(), shownForPairing.FindStringSubmatch(bob.stderr.String())[1], ofAlice)
	return <-ended, aliceErr
}

func (n *testNode) pair(ctx context.Context, text string, decide decider) error {
	_, _, err := n.Pair(ctx, node.Pairing{
		Peer: node.PeerText{Text: text}, Offer: node.Offer{TTL: time.Minute},
		Decide: func(ctx context.Context, _ node.Stranger) (node.Terms, error) { return decide(ctx) },
	})
	return err
}

// knows reports whether n has the other node in its address book, and among those who may
// do something.
func (n *testNode) knows(t *testing.T, other *testNode) (named, allowed bool) {
	t.Helper()
	caps, err := n.Book.Authorized(other.Key.ID())
	if err != nil {
		return n.Book.NameOf(other.Key.ID()) != "", false
	}
	return n.Book.NameOf(other.Key.ID()) != "", caps != 0
}

// wantUnpaired wants no trace of the other node at either end.
func wantUnpaired(t *testing.T, bob, alice *testNode) {
	t.Helper()
	for _, n := range [][2]*testNode{{bob, alice}, {alice, bob}} {
		if named, allowed := n[0].knows(t, n[1]); named || allowed {
			t.Errorf("%s knows the other node: named %v, allowed %v", n[0].stderr.String(), named, allowed)
		}
	}
}

// wantHonest wants that a node which ends without an error is stored at the other one.
func wantHonest(t *testing.T, bob, alice *testNode, bobErr, aliceErr error) {
	t.Helper()
	for _, e := range []struct {
		who      string
		n, other *testNode
		err      error
	}{{"bob", bob, alice, bobErr}, {"alice", alice, bob, aliceErr}} {
		ownName, ownCaps := e.n.knows(t, e.other)
		named, allowed := e.other.knows(t, e.n)
		if e.err == nil && !(ownName && ownCaps && named && allowed) {
			t.Errorf("%s ends without an error: it has stored %v, %v, and the other one %v, %v", e.who, ownName, ownCaps, named, allowed)
		}
	}
}

// ways are the two ways in which nodes meet: each returns two nodes.
var ways = map[string]func(t *testing.T) (bob, alice *testNode, h *hubtest.Hub){
	"code": func(t *testing.T) (bob, alice *testNode, h *hubtest.Hub) {
		h = openHub(t)
		return atHub(t, h, ""), atHub(t, h, ""), h
	},
	"token": func(t *testing.T) (bob, alice *testNode, h *hubtest.Hub) {
		return newNode(t, nil), newNode(t, nil), nil
	},
}

func TestPair(t *testing.T) {
	t.Parallel()
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bob, alice, _ := way(t)
			bobErr, aliceErr := pair(t, bob, alice, called("alice"), called("bob"))
			if bobErr != nil || aliceErr != nil {
				t.Fatalf("got %v and %v, want no error", bobErr, aliceErr)
			}
			wantHonest(t, bob, alice, bobErr, aliceErr)
		})
	}
}

// Each end that says no, or cannot store the other one, leaves both as they were.
func TestPairRefused(t *testing.T) {
	t.Parallel()
	no := func(context.Context) (node.Terms, error) {
		return node.Terms{}, proto.Errorf(proto.Declined, "no")
	}
	// broken makes the list of rights unreadable once the user has agreed.
	broken := func(n *testNode, name string) decider {
		return func(context.Context) (node.Terms, error) {
			err := os.Mkdir(filepath.Join(n.Book.Dir, identity.AuthorizedPeersFile), 0o700)
			return node.Terms{Name: name, Caps: proto.CapSend}, err
		}
	}
	for name, way := range ways {
		for _, tt := range []struct {
			what       string
			deciders   func(bob, alice *testNode) (decider, decider)
			bob, alice proto.Code // 0: any but OK
		}{
			{"bob says no", func(_, _ *testNode) (decider, decider) { return no, called("bob") }, proto.Declined, proto.Declined},
			{"alice says no", func(_, _ *testNode) (decider, decider) { return called("alice"), no }, proto.Declined, proto.Declined},
			{"bob cannot store", func(bob, _ *testNode) (decider, decider) { return broken(bob, "alice"), called("bob") }, 0, proto.Declined},
			{"alice cannot store", func(_, alice *testNode) (decider, decider) { return called("alice"), broken(alice, "bob") }, proto.Declined, 0},
		} {
			t.Run(name+"/"+tt.what, func(t *testing.T) {
				t.Parallel()
				bob, alice, _ := way(t)
				ofBob, ofAlice := tt.deciders(bob, alice)
				bobErr, aliceErr := pair(t, bob, alice, ofBob, ofAlice)
				for who, e := range map[string]struct {
					err  error
					want proto.Code
				}{"bob": {bobErr, tt.bob}, "alice": {aliceErr, tt.alice}} {
					if got := proto.CodeOf(e.err); got != e.want && e.want != 0 || got == proto.OK {
						t.Errorf("%s: got %v (%v), want %v", who, got, e.err, e.want)
					}
				}
				wantUnpaired(t, bob, alice)
			})
		}
	}
}

// A no at one end ends the question at the other end.
func TestPairQuestionEnds(t *testing.T) {
	t.Parallel()
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bob, alice, _ := way(t)
			asked := make(chan struct{})
			waits := func(ctx context.Context) (node.Terms, error) {
				close(asked)
				<-ctx.Done()
				return node.Terms{}, context.Cause(ctx)
			}
			no := func(context.Context) (node.Terms, error) {
				<-asked
				return node.Terms{}, proto.Errorf(proto.Declined, "no")
			}
			bobErr, aliceErr := pair(t, bob, alice, waits, no)
			xtest.WantCode(t, "bob", bobErr, proto.Declined)
			xtest.WantCode(t, "alice", aliceErr, proto.Declined)
			wantUnpaired(t, bob, alice)
		})
	}
}

// A hub that is restarted while a user is asked keeps nobody from pairing. One that does not
// come back leaves nobody known.
func TestPairHubLost(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]bool{"restarted": true, "gone": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := openHub(t)
			bob, alice := atHub(t, h, ""), atHub(t, h, "")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			lost := func(context.Context) (node.Terms, error) {
				if h.Stop(); back {
					if err := h.Start(); err != nil {
						t.Error(err)
					}
				} else {
					cancel()
				}
				return node.Terms{Name: "bob", Caps: proto.CapSend}, nil
			}
			ended := make(chan error, 1)
			go func() { ended <- bob.pair(ctx, "", called("alice")) }()
			bob.stderr.await(t, "run: mesh-test ")
			aliceErr := alice.pair(ctx, shownForPairing.FindStringSubmatch(bob.stderr.String())[1], lost)
			bobErr := <-ended
			if back {
				if bobErr != nil || aliceErr != nil {
					t.Errorf("got %v and %v, want no error", bobErr, aliceErr)
				}
				wantHonest(t, bob, alice, bobErr, aliceErr)
				return
			}
			if bobErr == nil || aliceErr == nil {
				t.Errorf("got %v and %v, want two errors", bobErr, aliceErr)
			}
			wantUnpaired(t, bob, alice)
		})
	}
}

// A node that is gone before it has agreed, without a word, is noticed within seconds.
func TestPairPeerGone(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 seconds")
	}
	t.Parallel()
	h := openHub(t)
	bob, alice := atHub(t, h, ""), xtest.NewKey(t)
	if err := h.AddMember(alice.ID()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- bob.pair(t.Context(), "", called("alice")) }()
	bob.stderr.await(t, "run: mesh-test ")
	c, err := hub.ParseCode(shownForPairing.FindStringSubmatch(bob.stderr.String())[1])
	if err != nil {
		t.Fatal(err)
	}
	a := agent.New(agent.Options{URL: h.URL(), Key: alice, Instance: hub.NewID()})
	ctx, kill := context.WithCancel(t.Context())
	go a.Run(ctx)
	if _, err := a.DialCode(t.Context(), agent.CodeAsk{Code: c}); err != nil {
		t.Fatal(err)
	}
	kill()
	began := time.Now()
	xtest.WantCode(t, "bob", <-ended, proto.Unreachable)
	if d := time.Since(began); d > 45*time.Second {
		t.Errorf("noticed after %s, want seconds", d)
	}
	if name := bob.Book.NameOf(alice.ID()); name != "" {
		t.Errorf("bob knows alice as %s", name)
	}
}

// The hub says that the other side has ended and keeps this one, in place of its last word:
// neither end takes anything back, and neither says that it is paired.
func TestPairLastWordLost(t *testing.T) {
	t.Parallel()
	l, err := hubtest.OpenLiar(func(_ identity.ID, e hub.Event) []hub.Event {
		var c hub.Candidates
		if e.Type != hub.TypeCandidates || e.Read(&c) != nil || c.Gen != 2 {
			return []hub.Event{e}
		}
		if closed, err := hub.New(hub.TypeClosed, &hub.Closed{Session: c.Session, Reason: hub.ReasonPaired}); err == nil {
			return []hub.Event{closed}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Stop() })
	bob, alice := newNode(t, at("", l.URL())), newNode(t, at("", l.URL()))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- bob.pair(ctx, "", called("alice")) }()
	bob.stderr.await(t, "run: mesh-test ")
	err = alice.pair(ctx, shownForPairing.FindStringSubmatch(bob.stderr.String())[1], called("bob"))
	xtest.WantCode(t, "alice", err, proto.Unreachable)
	xtest.WantCode(t, "bob", <-ended, proto.Unreachable)
	for _, known := range [][2]*testNode{{alice, bob}, {bob, alice}} {
		if named, allowed := known[0].knows(t, known[1]); !named || !allowed {
			t.Errorf("got named %v, allowed %v; want what was kept", named, allowed)
		}
	}
}

// A hub that lies pairs nobody with another node, and no end says that it is paired while
// the other one is not.
func TestPairLyingHub(t *testing.T) {
	t.Parallel()
	mallory := xtest.NewKey(t).ID()
	change := func(typ string, gen uint64, lie func(*hub.Candidates)) func(identity.ID, hub.Event) []hub.Event {
		return func(_ identity.ID, e hub.Event) []hub.Event {
			var c hub.Candidates
			if e.Type != typ || e.Read(&c) != nil || c.Gen != gen {
				return []hub.Event{e}
			}
			lie(&c)
			altered, err := hub.New(e.Type, &c)
			if err != nil {
				panic(err)
			}
			altered.From, altered.Name = e.From, e.Name
			return []hub.Event{altered}
		}
	}
	for name, tt := range map[string]struct {
		alter func(identity.ID, hub.Event) []hub.Event
		fails bool // no end may say that it is paired
	}{
		"everything three times": {func(_ identity.ID, e hub.Event) []hub.Event {
			switch e.Type {
			case hub.TypeCodeConfirm, hub.TypeCodeDone, hub.TypeCreated, hub.TypeCandidates:
				return []hub.Event{e, e, e}
			}
			return []hub.Event{e}
		}, false},
		"another key behind the code": {func(_ identity.ID, e hub.Event) []hub.Event {
			var c hub.CodeClaimed
			if e.Type != hub.TypeCodeClaimed || e.Read(&c) != nil || len(c.Share) == 0 {
				return []hub.Event{e}
			}
			c.Peer = mallory
			altered, err := hub.New(e.Type, &c)
			if err != nil {
				panic(err)
			}
			altered.Ref, altered.From = e.Ref, e.From
			return []hub.Event{altered}
		}, true},
		"another dialer": {func(_ identity.ID, e hub.Event) []hub.Event {
			if e.Type == hub.TypeCodeConfirm {
				e.From = mallory
			}
			return []hub.Event{e}
		}, true},
		"an altered agreement":           {change(hub.TypeCandidates, 1, func(c *hub.Candidates) { c.Sealed[0] ^= 1 }), true},
		"an agreement as what is stored": {change(hub.TypeCandidates, 1, func(c *hub.Candidates) { c.Gen = 2 }), true},
		"an altered last word":           {change(hub.TypeCandidates, 2, func(c *hub.Candidates) { c.Sealed[0] ^= 1 }), true},
		"a forged end": {func(_ identity.ID, e hub.Event) []hub.Event {
			var c hub.Candidates
			if e.Type != hub.TypeCandidates || e.Read(&c) != nil {
				return []hub.Event{e}
			}
			closed, err := hub.New(hub.TypeClosed, &hub.Closed{Session: c.Session, Reason: "paired"})
			if err != nil {
				panic(err)
			}
			return []hub.Event{closed}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := hubtest.OpenLiar(tt.alter)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Stop() })
			bob, alice := newNode(t, at("", l.URL())), newNode(t, at("", l.URL()))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- bob.pair(ctx, "", called("alice")) }()
			bob.stderr.await(t, "run: mesh-test ")
			aliceErr := alice.pair(ctx, shownForPairing.FindStringSubmatch(bob.stderr.String())[1], called("bob"))
			if aliceErr != nil {
				cancel() // bob may show a new code
			}
			bobErr := <-ended
			if tt.fails == (bobErr == nil) || tt.fails == (aliceErr == nil) {
				t.Errorf("got %v and %v, want errors: %v", bobErr, aliceErr, tt.fails)
			}
			wantHonest(t, bob, alice, bobErr, aliceErr)
			for _, n := range []*testNode{bob, alice} {
				if name := n.Book.NameOf(mallory); name != "" {
					t.Errorf("the hub's key is known as %s", name)
				}
			}
		})
	}
}
