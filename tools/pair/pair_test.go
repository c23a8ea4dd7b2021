package pair

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/xtest"
	"mesh/tools/cmdline/cmdlinetest"
	"mesh/tools/node"
)

// TestMain keeps the settings and the key of the user out of the tests.
func TestMain(m *testing.M) { cmdlinetest.Main(m) }

const code = "7-guitar-croissant-lunchbox"

func TestOptions(t *testing.T) {
	t.Parallel()
	read := func(c *cli.Context) (options, error) { return optionsOf(c) }
	key := xtest.NewKey(t)
	made, err := token.NewRegistry(key, identity.Book{Dir: t.TempDir()}).Issue(proto.CapSend, time.Minute, 1, []string{"192.0.2.7:4600"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := made.Encode()
	if err != nil {
		t.Fatal(err)
	}
	argument := func(text string) node.PeerText { return node.PeerText{Text: text, Argument: true} }
	for _, tt := range []struct {
		args string
		want options
		code proto.Code
	}{
		{"", options{}, proto.OK},
		{code, options{peer: argument(code)}, proto.OK},
		{strings.ToUpper(code), options{peer: argument(strings.ToUpper(code))}, proto.OK},
		{code + "@hub.example", options{peer: argument(code + "@hub.example")}, proto.OK},
		{text, options{peer: argument(text)}, proto.OK},
		{text[:30] + " " + text[30:], options{peer: argument(text)}, proto.OK}, // a line break has cut it
		{"@file", options{peer: argument("@file")}, proto.OK},
		{"--wait 5s --name bob --allow send,recv " + code, options{peer: argument(code), name: "bob", caps: new(proto.CapSend | proto.CapRecv), offer: node.Offer{Wait: 5 * time.Second}}, proto.OK},
		{"--listen :4601 --addr nas.example --token-file f --show-token --ttl 1m", options{offer: node.Offer{Addrs: []string{"nas.example:4600"}, TokenFile: "f", ShowToken: true, TTL: time.Minute}}, proto.OK},
		{"--allow none", options{caps: new(proto.Caps(0))}, proto.OK},
		{"--allow all", options{}, proto.Usage},
		{"--allow=", options{}, proto.Usage},
		{"--name=", options{}, proto.Usage},
		{"--name mk1x", options{}, proto.Usage},
		{"--name " + code, options{}, proto.Usage},
		{"--name a/b", options{}, proto.Usage},
		{"bob", options{}, proto.Usage},
		{"mesh1abc", options{}, proto.Usage},
		{text[:30], options{}, proto.Usage},
		{text + " more", options{}, proto.Usage},
		{code + " more", options{}, proto.Usage},
		{code + " --name bob", options{}, proto.Usage},
	} {
		got, err := cmdlinetest.Read(t, Command, read, strings.Fields(tt.args)...)
		if c := proto.CodeOf(err); c != tt.code {
			t.Errorf("%q: got %v (%v), want %v", tt.args, c, err, tt.code)
			continue
		}
		got.node = tt.want.node
		if tt.want.offer.TTL == 0 {
			got.offer.TTL = 0 // the default
		}
		if err == nil && !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: got %+v, want %+v", tt.args, got, tt.want)
		}
	}
}

// The name and the rights are those of the flags, of the answers, or of what is known, in
// this order. A name of another key, and no in place of an answer, are refused.
func TestDecide(t *testing.T) {
	t.Parallel()
	bob, carol := xtest.NewKey(t).ID(), xtest.NewKey(t).ID()
	send, both := proto.CapSend, proto.CapSend|proto.CapRecv
	script := []string(nil)
	for _, tt := range []struct {
		what    string
		o       options
		atHub   string
		known   string // a name that bob has
		allowed proto.Caps
		answers []string // nil: nobody can be asked
		want    node.Terms
		code    proto.Code
		asked   int
	}{
		{"flags", options{name: "bob", caps: &both}, "x", "", 0, script, node.Terms{Name: "bob", Caps: both}, proto.OK, 0},
		{"flags at a terminal", options{name: "bob", caps: &both}, "x", "", 0, []string{}, node.Terms{Name: "bob", Caps: both}, proto.OK, 0},
		{"none", options{name: "bob", caps: new(proto.Caps(0))}, "", "", send, script, node.Terms{Name: "bob"}, proto.OK, 0},
		{"a script", options{}, "bob", "", 0, script, node.Terms{Name: "bob", Caps: send}, proto.OK, 0},
		{"a script, a known node", options{}, "bob", "robert", both, script, node.Terms{Name: "robert", Caps: both}, proto.OK, 0},
		{"a script, no name", options{}, "", "", 0, script, node.Terms{}, proto.Usage, 0},
		{"a script, a name that cannot be one", options{}, "mk1x", "", 0, script, node.Terms{}, proto.Usage, 0},
		{"a script, the name of carol", options{}, "carol", "", 0, script, node.Terms{}, proto.Identity, 0},
		{"a flag with the name of carol", options{name: "carol"}, "bob", "", 0, []string{}, node.Terms{}, proto.Identity, 0},
		{"Enter twice", options{}, "bob", "", 0, []string{"", ""}, node.Terms{Name: "bob", Caps: send}, proto.OK, 2},
		{"Enter for a known node", options{}, "bob", "robert", both, []string{"", ""}, node.Terms{Name: "robert", Caps: both}, proto.OK, 2},
		{"answers", options{}, "bob", "", 0, []string{"Bob", "send, recv"}, node.Terms{Name: "Bob", Caps: both}, proto.OK, 2},
		{"none as an answer", options{}, "bob", "", both, []string{"", "none"}, node.Terms{Name: "bob"}, proto.OK, 2},
		{"another name after carol's", options{}, "carol", "", 0, []string{"", "c2", ""}, node.Terms{Name: "c2", Caps: send}, proto.OK, 3},
		{"three names that will not do", options{}, "", "", 0, []string{"", "mk1", "carol"}, node.Terms{}, proto.Identity, 3},
		{"other rights after a mistake", options{name: "bob"}, "", "", 0, []string{"everything", "recv"}, node.Terms{Name: "bob", Caps: proto.CapRecv}, proto.OK, 2},
		{"no", options{}, "bob", "", 0, []string{"No"}, node.Terms{}, proto.Declined, 1},
		{"no to the rights", options{}, "bob", "", 0, []string{"", "n"}, node.Terms{}, proto.Declined, 2},
	} {
		book := identity.Book{Dir: t.TempDir()}
		err := book.Add(identity.Peer{Name: "carol", ID: carol})
		if tt.known != "" {
			err = errors.Join(err, book.Add(identity.Peer{Name: tt.known, ID: bob}))
		}
		if err = errors.Join(err, book.Allow(bob, tt.allowed)); err != nil {
			t.Fatal(err)
		}
		asked := 0
		d := decision{options: tt.o, book: book, tell: func(error) {}}
		if tt.answers != nil {
			d.ask = func(context.Context, string) (string, error) {
				if asked++; asked > len(tt.answers) {
					return "", errors.New("a question too many")
				}
				return tt.answers[asked-1], nil
			}
		}
		got, err := d.decide(t.Context(), node.Stranger{ID: bob, Name: tt.atHub, AtHub: "hub.example"})
		xtest.WantCode(t, tt.what, err, tt.code)
		if err == nil && got != tt.want || asked != tt.asked {
			t.Errorf("%s: got %+v after %d questions, want %+v after %d", tt.what, got, asked, tt.want, tt.asked)
		}
	}
}
