package node_test

import (
	"errors"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

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

// A code says what it is for, and a dialer that does not take that leaves it as it is. What the
// code does not say is found out behind it: which way the data goes, and whether files alone
// are taken. Then the code is used up, and the user is told.
func TestCodeKinds(t *testing.T) {
	t.Parallel()
	const pipe, files, take, tty = wire.KindPipe, wire.KindFiles, wire.KindTake, wire.KindTTY
	type listener struct {
		what  string
		kinds []string
		caps  proto.Caps
	}
	recv := listener{"mesh-recv", []string{pipe}, proto.CapSend}
	recvAny := listener{"mesh-recv --name", []string{pipe, files}, proto.CapSend}
	recvFolder := listener{"mesh-recv -C", []string{files}, proto.CapSend}
	join := listener{"mesh-listen", []string{pipe}, proto.CapSend | proto.CapRecv}
	offers := listener{"mesh-listen FILE", []string{take, files}, proto.CapRecv}
	shares := listener{"mesh-tty --share", []string{tty}, proto.CapTTYView}
	type dialer struct {
		what string
		kind string
		need proto.Caps
	}
	cat := dialer{"mesh-cat", pipe, proto.CapSend}
	catFiles := dialer{"mesh-cat FILE", files, proto.CapSend}
	pull := dialer{"mesh-recv CODE", pipe, proto.CapRecv}
	pullFolder := dialer{"mesh-recv -C CODE", take, proto.CapRecv}
	view := dialer{"mesh-tty CODE", tty, proto.CapTTYView}
	const kept, used = "the code is not used up", "the code is used up; the other side shows a new one soon"
	for _, tt := range []struct {
		listener listener
		dialer   dialer
		want     proto.Code
		kind     bool // the error is ErrKind: the tool knows what to do
		code     string
	}{
		{recv, cat, proto.OK, false, ""},
		{recv, catFiles, proto.Capability, true, kept},
		{recv, pull, proto.Capability, false, used},
		{recv, pullFolder, proto.Capability, true, kept},
		{recv, view, proto.Capability, false, kept},
		{recvAny, cat, proto.OK, false, ""},
		{recvAny, catFiles, proto.OK, false, ""},
		{recvAny, pull, proto.Capability, true, kept},
		{recvAny, pullFolder, proto.Capability, false, used},
		{recvAny, view, proto.Capability, false, kept},
		{recvFolder, cat, proto.Declined, true, used},
		{recvFolder, catFiles, proto.OK, false, ""},
		{recvFolder, pull, proto.Capability, true, kept},
		{recvFolder, pullFolder, proto.Capability, false, used},
		{recvFolder, view, proto.Capability, false, kept},
		{join, cat, proto.OK, false, ""},
		{join, catFiles, proto.Capability, true, kept},
		{join, pull, proto.OK, false, ""},
		{join, pullFolder, proto.Capability, true, kept},
		{join, view, proto.Capability, false, kept},
		{offers, cat, proto.Capability, false, used},
		{offers, catFiles, proto.Capability, false, used},
		{offers, pull, proto.Capability, true, kept},
		{offers, pullFolder, proto.OK, false, ""},
		{offers, view, proto.Capability, false, kept},
		{shares, cat, proto.Capability, false, kept},
		{shares, catFiles, proto.Capability, false, kept},
		{shares, pull, proto.Capability, false, kept},
		{shares, pullFolder, proto.Capability, false, kept},
		{shares, view, proto.OK, false, ""},
	} {
		what := tt.dialer.what + " of " + tt.listener.what
		h := openHub(t) // it counts the claims of a source
		bob, alice := atHub(t, h, ""), atHub(t, h, "")
		o := once(tt.listener.kinds...)
		o.Caps, o.Tokens = tt.listener.caps, []node.TokenOffer{{Caps: tt.listener.caps}}
		w, code := bob.waitCode(t, o)
		r := node.Request{Want: tt.dialer.need, Need: tt.dialer.need, Kind: tt.dialer.kind}
		l, err := alice.dialText(t, code, r)
		xtest.WantCode(t, what, err, tt.want)
		if err == nil {
			l.Close(nil)
			continue
		}
		got := hintOf(err)
		if strings.Contains(got, "allow") || !strings.Contains(got, tt.code) {
			t.Errorf("%s: got the hint %q, want %q and none about rights", what, got, tt.code)
		}
		if got := errors.Is(err, node.ErrKind); got != tt.kind {
			t.Errorf("%s: got ErrKind %v, want %v", what, got, tt.kind)
		}
		if got := w.Codes()[0]; tt.code == kept && got != code {
			t.Errorf("%s: the code was replaced", what)
		}
		w.Stop()
	}
}

// A dialer that may wait does not wait for a code: one that is not there, or was used up on a
// listener that cannot be reached, ends it with the first reason.
func TestCodeWait(t *testing.T) {
	t.Parallel()
	const long = time.Minute
	waiting := sendOnly
	waiting.Wait = long
	h := openHub(t)
	began := time.Now()
	_, err := atHub(t, h, "").dialText(t, "7-guitar-croissant-lunchbox", waiting)
	xtest.WantCode(t, "no such code", err, proto.Denied)
	if agent.CodeOf(err) != hub.CodeNoCode {
		t.Errorf("no such code: got %v, want %s", err, hub.CodeNoCode)
	}
	via := func(word string) *testNode {
		n := newNode(t, func(o *node.Options) { o.Hubs, o.Via.Transport = []hub.URL{h.URL()}, word })
		if err := h.AddMember(n.Key.ID()); err != nil {
			t.Fatal(err)
		}
		return n
	}
	_, code := via(proto.ViaQUIC).waitCode(t, once(wire.KindPipe))
	_, err = via(proto.ViaTCP).dialText(t, code, waiting)
	if err == nil || agent.CodeOf(err) == hub.CodeNoCode {
		t.Errorf("not reached: got %v, want why the listener is not reached", err)
	}

	// The hub is away at first, and comes back without the code.
	alice := atHub(t, h, "")
	h.Stop()
	ended := make(chan error, 1)
	go func() {
		_, err := alice.dialText(t, "7-guitar-croissant-lunchbox", waiting)
		ended <- err
	}()
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; agent.CodeOf(err) != hub.CodeNoCode {
		t.Errorf("after the hub is back: got %v, want %s", err, hub.CodeNoCode)
	}
	if d := time.Since(began); d >= long {
		t.Errorf("took %s: the dialer has waited for a code", d)
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
