package node_test

import (
	"bytes"
	"context"
	"errors"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/hubtest"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/wire"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

func openHub(t *testing.T) *hubtest.Hub {
	t.Helper()
	h, err := hubtest.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Stop() })
	return h
}

// at sets the hubs of a node.
func at(trust string, urls ...hub.URL) func(*node.Options) {
	return func(o *node.Options) { o.Hubs, o.Trust = urls, trust }
}

// atHub returns a node that is a member of a hub.
func atHub(t *testing.T, h *hubtest.Hub, trust string) *testNode {
	t.Helper()
	n := newNode(t, at(trust, h.URL()))
	if err := h.AddMember(n.Key.ID()); err != nil {
		t.Fatal(err)
	}
	return n
}

// online makes n wait under a name, and blocks until the hub has registered it.
func (n *testNode) online(t *testing.T, o node.Offer) *node.Waiter {
	t.Helper()
	w := n.wait(t, o)
	n.stderr.await(t, "this is "+strings.ToLower(o.As))
	return w
}

// listening is what a listener for pipes offers to the nodes that it has allowed.
func listening(name string) node.Offer {
	return node.Offer{Caps: proto.CapSend | proto.CapRecv, As: name}
}

func allow(t *testing.T, n, peer *testNode, caps proto.Caps) {
	t.Helper()
	if err := n.Book.Allow(peer.Key.ID(), caps); err != nil {
		t.Fatal(err)
	}
}

// dialText links from n to what a PEER means.
func (n *testNode) dialText(t *testing.T, text string, r node.Request) (*link.Link, error) {
	t.Helper()
	p, err := n.Peer(t.Context(), node.PeerText{Text: text})
	if err != nil {
		return nil, err
	}
	return n.Dial(t.Context(), p, r)
}

// A peer is found by name, by name and hub, by node id and by its name in the address
// book, and is graded by how its key is known.
func TestHubPeer(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob, alice := atHub(t, h, ""), atHub(t, h, "hub")
	allow(t, bob, alice, proto.CapSend)
	w := bob.online(t, listening("Bob"))
	if err := alice.Book.Add(identity.Peer{Name: "robert", ID: bob.Key.ID()}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		text, label string
		trust       node.Grade
	}{
		{"bob", "robert", node.GradeHub},
		{"BOB", "robert", node.GradeHub},
		{"bob@127.0.0.1", "robert", node.GradeHub},
		{bob.Key.ID().String(), "robert", node.GradePinned},
		{"robert", "robert", node.GradePinned},
	} {
		l, err := alice.dialText(t, tt.text, send)
		if err != nil {
			t.Fatalf("%s: %v", tt.text, err)
		}
		if p := alice.Party(l); p.Trust != tt.trust || p.ID != bob.Key.ID() || p.Label() != tt.label {
			t.Errorf("%s: got %s with trust %q, want %s with trust %q", tt.text, p.Label(), p.Trust, tt.label, tt.trust)
		}
		accepted, err := w.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if p := bob.Party(accepted); p.Trust != node.GradePinned || p.ID != alice.Key.ID() || accepted.Granted != proto.CapSend {
			t.Errorf("%s: the listener got %s, trust %q, allows %s", tt.text, p.ID.Short(), p.Trust, accepted.Granted)
		}
		closeBoth(l, accepted)
	}
}

// Each refusal has its exit code.
func TestHubPeerRefused(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob, alice, carol, pinner := atHub(t, h, ""), atHub(t, h, "hub"), atHub(t, h, "hub"), atHub(t, h, "pinned")
	outsider, script := newNode(t, at("", h.URL())), atHub(t, h, "")
	for _, n := range []*testNode{alice, pinner, script} {
		allow(t, bob, n, proto.CapSend)
	}
	bob.online(t, listening("bob"))
	tty := node.Request{Want: proto.CapSend, Need: proto.CapSend, Kind: wire.KindTTY}
	recv := node.Request{Want: proto.CapRecv, Need: proto.CapRecv}
	for _, tt := range []struct {
		what string
		from *testNode
		text string
		r    node.Request
		want proto.Code
		hint string // is in the hints; "" if there are none
	}{
		{"no rule", carol, "bob", send, proto.Denied, "mesh-token allow " + carol.Key.ID().String() + " send"},
		{"other rights", alice, "bob", recv, proto.Capability, "with recv among CAPS"},
		{"other kind", alice, "bob", tty, proto.Capability, ""},
		{"unknown name", alice, "dave", send, proto.Unreachable, "a tool must wait there with --as dave"},
		{"unknown name at a hub", alice, "dave@" + h.URL().Name(), send, proto.Unreachable, "a tool must wait there with --as dave;"},
		{"offline", alice, carol.Key.ID().String(), send, proto.Unreachable, "a listener must run there: --wait"},
		{"a script", script, "bob", send, proto.Identity, "mesh-token peer add bob " + bob.Key.ID().String()},
		{"--trust pinned", pinner, "bob", send, proto.Identity, "mesh-token peer add bob " + bob.Key.ID().String()},
		{"another hub", alice, "bob@hub.example", send, proto.Usage, "mesh-hub status"},
		{"no member", outsider, "bob", send, proto.Denied, "mesh-hub member add"},
	} {
		_, err := tt.from.dialText(t, tt.text, tt.r)
		xtest.WantCode(t, tt.what, err, tt.want)
		if got := errors.Is(err, node.ErrKind); got != (tt.what == "other kind") {
			t.Errorf("%s: got ErrKind %v in %v", tt.what, got, err)
		}
		if got := hintOf(err); !strings.Contains(got, tt.hint) || tt.hint == "" && got != "" || strings.Contains(got, identity.ID{}.String()) {
			t.Errorf("%s: got the hint %q, want %q in it, and no zero id", tt.what, got, tt.hint)
		}
	}
}

// An inbox that a hub has named takes a pipe with a name, as one at an address does.
func TestHubNamedPipe(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob, alice := atHub(t, h, ""), atHub(t, h, "hub")
	allow(t, bob, alice, proto.CapSend)
	o := listening("bob")
	o.Takes, o.TakesNamed, o.Kinds = func(kind string) bool { return kind == wire.KindFiles }, true, []string{wire.KindFiles, wire.KindPipe}
	w := bob.online(t, o)
	named := send
	named.Name = "db.dump"
	for _, text := range []string{"bob", bob.Key.ID().String()} {
		l, err := alice.dialText(t, text, named)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		accepted, err := w.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if accepted.Name != named.Name {
			t.Errorf("%s: got the name %q, want %q", text, accepted.Name, named.Name)
		}
		closeBoth(l, accepted)
		_, err = alice.dialText(t, text, send)
		xtest.WantCode(t, text+": a pipe without a name", err, proto.Declined)
	}
}

// A user who accepts a key is not asked again; then another key under the name is refused.
func TestHubAsk(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob, asked := atHub(t, h, ""), 0
	alice := newNode(t, func(o *node.Options) {
		o.Hubs = []hub.URL{h.URL()}
		o.Ask = func(_ context.Context, q string) (string, error) {
			if asked++; !strings.Contains(q, strings.Join(hub.KeyWords(bob.Key.ID()), "-")) {
				t.Errorf("got the question %q, want the words of bob's key in it", q)
			}
			return []string{"", "y"}[min(asked-1, 1)], nil
		}
	})
	if err := h.AddMember(alice.Key.ID()); err != nil {
		t.Fatal(err)
	}
	allow(t, bob, alice, proto.CapSend)
	w := bob.online(t, listening("bob"))
	_, err := alice.dialText(t, "bob", send)
	xtest.WantCode(t, "no", err, proto.Declined)
	for range 2 {
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
	if asked != 2 {
		t.Errorf("asked %d times, want 2", asked)
	}
	w.Stop()
	if err := h.Broker.FreeName("admin", "bob"); err != nil {
		t.Fatal(err)
	}
	mallory := atHub(t, h, "")
	allow(t, mallory, alice, proto.CapSend)
	mallory.online(t, listening("bob"))
	if _, err = alice.dialText(t, "bob", send); err == nil || asked != 2 {
		t.Errorf("another key: got %v after %d questions, want an error without a question", err, asked)
	}
}

// A node without hubs, and one that --hub none gives none, runs nothing of them.
func TestNoHub(t *testing.T) {
	bob, alice := newNode(t, nil), newNode(t, nil)
	w := bob.wait(t, oneToken())
	l, err := alice.Dial(t.Context(), bob.peer(t, 0, alice), send)
	if err != nil {
		t.Fatal(err)
	}
	var stacks bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(stacks.String(), "mesh/proto/hub") {
		t.Errorf("a goroutine of the hub runs:\n%s", &stacks)
	}
	accepted, err := w.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	closeBoth(l, accepted)
	_, err = bob.Wait(listening("bob"))
	xtest.WantCode(t, "--as without a hub", err, proto.Usage)
}

// A name that another node has ends a listener that asked for it.
func TestHubNameTaken(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	atHub(t, h, "").online(t, listening("bob"))
	_, err := atHub(t, h, "").Wait(listening("bob"))
	xtest.WantCode(t, "taken", err, proto.Declined)
}

// A dialer that waits begins before the peer is there, and before the hub is.
func TestHubWait(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob, alice := atHub(t, h, ""), atHub(t, h, "hub")
	allow(t, bob, alice, proto.CapSend)
	h.Stop()
	_, err := alice.dialText(t, "bob", send)
	xtest.WantCode(t, "hub down", err, proto.Unreachable)
	done := make(chan error, 1)
	links := make(chan *link.Link, 1)
	go func() {
		l, err := alice.dialText(t, bob.Key.ID().String(), node.Request{Want: send.Want, Need: send.Need, Wait: time.Minute})
		links <- l
		done <- err
	}()
	w := bob.wait(t, listening("bob"))
	bob.stderr.await(t, "waiting goes on without the hub")
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	bob.stderr.await(t, "is back")
	accepted, err := w.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l := <-links
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	closeBoth(l, accepted)
}

// A listener that loses its hub names it, and no step of package websocket.
func TestHubLost(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob := atHub(t, h, "")
	bob.online(t, listening("bob"))
	h.Stop()
	bob.stderr.await(t, "waiting goes on without the hub")
	got := bob.stderr.String()
	if !strings.Contains(got, "warning: hub "+h.URL().Name()+": ") || strings.Contains(got, "frame") || strings.Count(got, "hub "+h.URL().Name()+":") > 1 {
		t.Errorf("got %q, want the hub's name once, and nothing of frames", got)
	}
}

// A dead hub before a good one costs a second at most.
func TestHubDead(t *testing.T) {
	t.Parallel()
	h, dead := openHub(t), openHub(t)
	dead.Stop()
	bob := atHub(t, h, "")
	alice := newNode(t, at("hub", dead.URL(), h.URL()))
	if err := h.AddMember(alice.Key.ID()); err != nil {
		t.Fatal(err)
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
}

// More requests than a hub allows at a time are made a little later, and do not fail.
func TestHubRateLimited(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	alice := atHub(t, h, "hub")
	for i := range 23 { // the hub allows 20, and 5 a second
		_, err := alice.dialText(t, "nobody", send)
		if got := proto.CodeOf(err); got != proto.Unreachable {
			t.Fatalf("request %d: got %v (%v), want %v", i, got, err, proto.Unreachable)
		}
	}
}
