package node_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

func encode(t *testing.T, tok token.Token, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	text, err := tok.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestPeer(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	bob, carol := xtest.NewKey(t), xtest.NewKey(t)
	for _, p := range []identity.Peer{{Name: "bob", ID: bob.ID(), Addrs: []string{"192.0.2.1:1"}}, {Name: "carol", ID: carol.ID()}} {
		if err := n.Book.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	issue := func(uses uint16) string {
		tok, err := token.NewCapability(bob, proto.CapSend, time.Hour, uses, identity.ID{}, []string{"192.0.2.7:7"})
		return encode(t, tok, err)
	}
	once, many := issue(1), issue(0)
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "@" + path
	}
	for _, tt := range []struct {
		what, text string
		argument   bool
		addr       string // of the peer that is found
		code       proto.Code
		words      string // in the error
	}{
		{what: "nothing", code: proto.Usage, words: "PEER is missing"},
		{what: "a token", text: once, argument: true, addr: "192.0.2.7:7"},
		{what: "a token, broken by a mail", text: once[:40] + "\n " + once[40:], addr: "192.0.2.7:7"},
		{what: "a token for many uses", text: many, argument: true, code: proto.Usage, words: "must not stand on a command line"},
		{what: "the same from the environment", text: many, addr: "192.0.2.7:7"},
		{what: "the same from a file", text: file("many", many+"\n"), argument: true, addr: "192.0.2.7:7"},
		{what: "a part of a token", text: once[:40], argument: true, code: proto.Usage},
		{what: "a file with something else", text: file("words", "some words"), code: proto.Usage, words: "words: "},
		{what: "a file that is missing", text: "@" + filepath.Join(t.TempDir(), "none"), code: proto.IO, words: "no such file"},
		{what: "a name", text: "bob", argument: true, addr: "192.0.2.1:1"},
		{what: "a name without address", text: "carol", code: proto.Unreachable, words: "no address is known for carol"},
		{what: "an unknown name", text: "dave", code: proto.Usage, words: "unknown peer dave"},
		{what: "an address", text: "192.0.2.1:4600", code: proto.Usage, words: "which does not say which key"},
		{what: "a node id", text: bob.ID().String(), code: proto.Usage, words: "which does not say where"},
		{what: "a name at a hub", text: "bob@hub", code: proto.Usage, words: "no hub"},
		{what: "no name", text: "a b", code: proto.Usage, words: "neither a token nor a name"},
	} {
		p, err := n.Peer(t.Context(), node.PeerText{Text: tt.text, Argument: tt.argument})
		xtest.WantCode(t, tt.what, err, tt.code)
		if err != nil && !strings.Contains(err.Error(), tt.words) {
			t.Errorf("%s: got %q, want %q in it", tt.what, err, tt.words)
		}
		if err != nil && len(tt.text) > 100 && strings.Contains(err.Error(), tt.text[:20]) {
			t.Errorf("%s: got %q, which shows the token", tt.what, err)
		}
		if err == nil && (p.ID != bob.ID() || !slices.Equal(p.Addrs, []string{tt.addr}) || p.Name != "bob") {
			t.Errorf("%s: got %s %q at %v, want bob at %s", tt.what, p.ID.Short(), p.Name, p.Addrs, tt.addr)
		}
	}
}

// resolver knows one name.
type resolver struct {
	name  string
	asked *[]string
	err   error
}

// Resolve implements [node.Resolver].
func (r resolver) Resolve(_ context.Context, text string) (node.Peer, bool, error) {
	*r.asked = append(*r.asked, r.name)
	return node.Peer{Peer: identity.Peer{Name: text, Addrs: []string{"of " + r.name}}}, text == r.name, r.err
}

// Resolvers are asked in their order, after the address book, until one knows PEER.
func TestResolvers(t *testing.T) {
	t.Parallel()
	failure := proto.Errorf(proto.Denied, "log in first")
	for _, tt := range []struct {
		text  string
		err   error // of the second resolver
		asked []string
		code  proto.Code
	}{
		{"book", nil, nil, proto.OK},
		{"first", nil, []string{"first"}, proto.OK},
		{"second", nil, []string{"first", "second"}, proto.OK},
		{"third", nil, []string{"first", "second"}, proto.Usage},
		{"third", failure, []string{"first", "second"}, proto.Denied},
	} {
		var asked []string
		n := newNode(t, func(o *node.Options) {
			o.Resolvers = []node.Resolver{resolver{"first", &asked, nil}, resolver{"second", &asked, tt.err}}
		})
		if err := n.Book.Add(identity.Peer{Name: "book", ID: xtest.NewKey(t).ID(), Addrs: []string{"192.0.2.1:1"}}); err != nil {
			t.Fatal(err)
		}
		_, err := n.Peer(t.Context(), node.PeerText{Text: tt.text})
		xtest.WantCode(t, tt.text, err, tt.code)
		if !slices.Equal(asked, tt.asked) {
			t.Errorf("%s: got %q asked, want %q", tt.text, asked, tt.asked)
		}
	}
}
