package node_test

import (
	"errors"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/wire"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

var shownCode = regexp.MustCompile(`run: mesh-cat ([1-9][0-9]*(-[a-z]+){3})`)

// once is the offer of a tool that waits for one peer.
func once(kinds ...string) node.Offer {
	caps := capOf(kinds[0])
	return node.Offer{
		Caps: caps, Tokens: []node.TokenOffer{{Caps: caps}}, Once: true, Command: "mesh-cat",
		Takes: func(kind string) bool { return slices.Contains(kinds, kind) },
	}
}

// capOf is what a dialer needs for a kind.
func capOf(kind string) proto.Caps {
	switch kind {
	case wire.KindTTY:
		return proto.CapTTYView
	case wire.KindTake:
		return proto.CapRecv
	}
	return proto.CapSend
}

var sendOnly = node.Request{Want: proto.CapSend, Need: proto.CapSend}

// waitCode waits for one peer and returns the code.
func (n *testNode) waitCode(t *testing.T, o node.Offer) (*node.Waiter, string) {
	t.Helper()
	w := n.wait(t, o)
	m := shownCode.FindStringSubmatch(n.stderr.String())
	if m == nil || strings.Contains(n.stderr.String(), "mesh1") {
		t.Fatalf("got %q, want a code and no token", n.stderr.String())
	}
	if got := w.Codes(); len(got) != 1 || got[0] != m[1] {
		t.Errorf("got the open codes %q, want %q", got, m[1])
	}
	return w, m[1]
}

// Two nodes that meet by a code are sure of each other's keys. A peer of the address book
// is pinned all the same.
func TestCode(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	for _, known := range []bool{false, true} {
		bob, alice := atHub(t, h, ""), atHub(t, h, "")
		trust := node.GradeCode
		if known {
			trust = node.GradePinned
			for n, other := range map[*testNode]*testNode{bob: alice, alice: bob} {
				if err := n.Book.Add(identity.Peer{Name: "friend", ID: other.Key.ID()}); err != nil {
					t.Fatal(err)
				}
			}
		}
		w, code := bob.waitCode(t, once(wire.KindPipe))
		l, err := alice.dialText(t, strings.ToUpper(code), sendOnly)
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := w.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if l.Peer != bob.Key.ID() || accepted.Peer != alice.Key.ID() || accepted.Granted != proto.CapSend {
			t.Errorf("got links to %s and %s, granted %s", l.Peer, accepted.Peer, accepted.Granted)
		}
		for _, p := range []node.Party{alice.Party(l), bob.Party(accepted)} {
			if p.Trust != trust || strings.Contains(p.Label(), code) {
				t.Errorf("known %v: got trust %q of %q, want %q", known, p.Trust, p.Label(), trust)
			}
		}
		closeBoth(l, accepted)
		_, err = alice.dialText(t, code, sendOnly)
		xtest.WantCode(t, "the code again", err, proto.Denied)
	}
}

// The grade of a code is enough for a script, and too little for --trust issued.
func TestCodeTrust(t *testing.T) {
	t.Parallel()
	for trust, want := range map[string]proto.Code{"pinned": proto.Identity, "issued": proto.Identity, "code": proto.OK, "hub": proto.OK} {
		h := openHub(t) // it counts the claims of a source
		bob, alice := atHub(t, h, ""), atHub(t, h, trust)
		_, code := bob.waitCode(t, once(wire.KindPipe))
		l, err := alice.dialText(t, code, sendOnly)
		xtest.WantCode(t, trust, err, want)
		if err == nil {
			l.Close(nil)
		}
	}
}

// A code says what it is for, and a dialer that does not take that leaves it as it is.
func TestCodeKinds(t *testing.T) {
	t.Parallel()
	const pipe, files, take, tty = "", wire.KindFiles, wire.KindTake, wire.KindTTY
	for _, tt := range []struct {
		offered []string
		asked   string
		want    proto.Code
		kind    bool // the error is ErrKind: the tool knows what to do
	}{
		{[]string{wire.KindPipe}, files, proto.Capability, true},
		{[]string{wire.KindPipe}, tty, proto.Capability, false},
		{[]string{files}, tty, proto.Capability, false},
		{[]string{tty}, pipe, proto.Capability, false},
		{[]string{tty}, files, proto.Capability, false},
		{[]string{wire.KindPipe}, take, proto.Capability, true},
		{[]string{wire.KindPipe, files}, pipe, proto.OK, false},
		{[]string{wire.KindPipe, files}, files, proto.OK, false},
		{[]string{take, files}, take, proto.OK, false},
		{[]string{tty}, tty, proto.OK, false},
	} {
		h := openHub(t)
		bob, alice := atHub(t, h, ""), atHub(t, h, "")
		w, code := bob.waitCode(t, once(tt.offered...))
		r := node.Request{Want: capOf(tt.asked), Need: capOf(tt.asked), Kind: tt.asked}
		l, err := alice.dialText(t, code, r)
		xtest.WantCode(t, tt.asked+" of "+strings.Join(tt.offered, ","), err, tt.want)
		if got := hintOf(err); strings.Contains(got, "allow") {
			t.Errorf("%q of %q: got the hint %q, and no right helps", tt.asked, tt.offered, got)
		}
		if err != nil {
			if got := errors.Is(err, node.ErrKind); got != tt.kind {
				t.Errorf("%q of %q: got ErrKind %v, want %v", tt.asked, tt.offered, got, tt.kind)
			}
			if got := w.Codes()[0]; got != code {
				t.Errorf("%q of %q: the code was replaced", tt.asked, tt.offered)
			}
			continue
		}
		l.Close(nil)
	}
}

// A node that has proven a code and does not link leaves the listener with a new one.
func TestCodeWithoutLink(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 10 seconds")
	}
	t.Parallel()
	h := openHub(t)
	bob, alice := atHub(t, h, ""), atHub(t, h, "")
	w, text := bob.waitCode(t, once(wire.KindPipe))
	a := agent.New(agent.Options{URL: h.URL(), Key: alice.Key, Instance: hub.NewID()})
	go a.Run(t.Context())
	code, err := hub.ParseCode(text)
	if err == nil {
		_, err = a.DialCode(t.Context(), agent.CodeAsk{Code: code})
	}
	if err != nil {
		t.Fatal(err)
	}
	bob.stderr.await(t, "has not linked; there is a new code")
	bob.stderr.await(t, "run: mesh-cat")
	links := make(chan *link.Link, 1)
	go func() {
		l, _ := w.Accept(t.Context())
		links <- l
	}()
	l, err := alice.dialText(t, w.Codes()[0], sendOnly)
	if err != nil {
		t.Fatal(err)
	}
	closeBoth(l, <-links)
}

// Without an answer of the hub the user has the token: at once if the hub is down, and
// after two seconds if it is silent. --show-token shows both.
func TestCodeFallback(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	h, down := openHub(t), openHub(t)
	down.Stop()
	quiet := down.URL()
	quiet.Host = silent.Addr().String()
	for what, u := range map[string]hub.URL{"down": down.URL(), "silent": quiet} {
		bob, alice := newNode(t, at("", u)), newNode(t, nil)
		bob.wait(t, once(wire.KindPipe))
		token := regexp.MustCompile(`run: mesh-cat (mesh1[a-z2-7]+)`).FindStringSubmatch(bob.stderr.String())
		if token == nil {
			t.Fatalf("%s: got %q, want a token", what, bob.stderr.String())
		}
		l, err := alice.dialText(t, token[1], sendOnly)
		if err != nil {
			t.Fatal(err)
		}
		l.Close(nil)
	}
	bob := atHub(t, h, "")
	o := once(wire.KindPipe)
	o.ShowToken = true
	bob.wait(t, o)
	if got := bob.stderr.String(); !shownCode.MatchString(got) || !strings.Contains(got, "run: mesh-cat mesh1") {
		t.Errorf("--show-token: got %q, want a token and a code", got)
	}
}

// No code is shown to nobody, in a log, or for what lasts.
func TestNoCode(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	for what, change := range map[string]func(*node.Offer){
		"token file": func(o *node.Offer) { o.TokenFile = t.TempDir() + "/tok" },
		"lasts":      func(o *node.Offer) { o.Once, o.ShowToken = false, true },
		"a log":      func(o *node.Offer) { o.Once, o.Temporary = false, true },
	} {
		o := once(wire.KindPipe)
		change(&o)
		bob := atHub(t, h, "")
		w := bob.wait(t, o)
		if got := bob.stderr.String(); shownCode.MatchString(got) || w.Codes()[0] != "" {
			t.Errorf("%s: got %q, want no code", what, got)
		}
	}
}
