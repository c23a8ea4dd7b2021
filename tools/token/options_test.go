package token

import (
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/xtest"
	"mesh/tools/cmdline"
	"mesh/tools/cmdline/cmdlinetest"
)

// readAs returns what read makes of a command line, as any.
func readAs[O any](read func(*cli.Context) (O, error)) func(*testing.T, ...string) (any, error) {
	return func(t *testing.T, args ...string) (any, error) {
		t.Helper()
		return cmdlinetest.Read(t, Command, read, args...)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	alice := xtest.NewKey(t).ID()
	dir := t.TempDir()
	one, many := filepath.Join(dir, "one"), filepath.Join(dir, "many")
	oneText, listener := writeToken(t, one, 1)
	manyText, manyListener := writeToken(t, many, 2)
	isNew, isShow, isRevoke := readAs(readNew), readAs(readShow), readAs(readRevoke)
	isAllow, isAdd, isForget, isNothing := readAs(readAllow), readAs(readPeerAdd), readAs(readPeerForget), readAs(readNothing)
	for _, tt := range []struct {
		read func(*testing.T, ...string) (any, error)
		args []string
		want any // nil with a code
		code proto.Code
	}{
		{readAs(readIDOptions), []string{"id"}, idOptions{}, proto.OK},
		{readAs(readIDOptions), []string{"id", "--words"}, idOptions{words: true}, proto.OK},
		{readAs(readIDOptions), []string{"id", "x"}, nil, proto.Usage},
		{isNothing, []string{"allowed", "x"}, nil, proto.Usage},
		{isNothing, []string{"peer", "list", "x"}, nil, proto.Usage},

		{isNew, []string{"new"}, newOptions{caps: proto.CapSend, ttl: cmdline.DefaultTTL, uses: 1}, proto.OK},
		{
			isNew,
			[]string{"new", "--allow", "recv,tty:view", "--ttl", "30d", "--uses", "65535", "--to", alice.String(), "--addr", "a:1", "--addr", "[::1]:2"},
			newOptions{proto.CapRecv | proto.CapTTYView, 30 * 24 * time.Hour, 65535, alice, []string{"a:1", "[::1]:2"}},
			proto.OK,
		},
		{isNew, []string{"new", "--uses", "0"}, newOptions{caps: proto.CapSend, ttl: cmdline.DefaultTTL}, proto.OK},
		{isNew, []string{"new", "--uses", "65536"}, nil, proto.Usage},
		{isNew, []string{"new", "--uses", "-1"}, nil, proto.Usage},
		{isNew, []string{"new", "--allow", ""}, nil, proto.Usage},
		{isNew, []string{"new", "--allow", "send,send"}, nil, proto.Usage},
		{isNew, []string{"new", "--allow", "all"}, nil, proto.Usage},
		{isNew, []string{"new", "--ttl", "0"}, nil, proto.Usage},
		{isNew, []string{"new", "--to", "alice"}, nil, proto.Usage},
		{isNew, []string{"new", "x"}, nil, proto.Usage},

		{isShow, []string{"show"}, showOptions{stdin: true}, proto.OK},
		{isShow, []string{"show", "--json", "@f"}, showOptions{file: "f", json: true}, proto.OK},
		{isShow, []string{"show", oneText}, nil, proto.Usage},
		{isShow, []string{"show", "f"}, nil, proto.Usage},
		{isShow, []string{"show", "@f", "@g"}, nil, proto.Usage},

		{isRevoke, []string{"revoke", "0011223344556677"}, revokeOptions{id: &token.ID{0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77}}, proto.OK},
		{isRevoke, []string{"revoke", " \"0011223344556677\","}, revokeOptions{id: &token.ID{0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77}}, proto.OK},
		{isRevoke, []string{"revoke", "bob"}, revokeOptions{node: "bob"}, proto.OK},
		{isRevoke, []string{"revoke", alice.String()}, revokeOptions{node: alice.String()}, proto.OK},
		{isRevoke, []string{"revoke", "@" + filepath.Join(dir, "none")}, nil, proto.IO},
		{isRevoke, []string{"revoke", "bob", "al"}, nil, proto.Usage},
		{isRevoke, []string{"revoke"}, nil, proto.Usage},

		{isAllow, []string{"allow", "bob", "send,recv"}, allowOptions{node: "bob", caps: proto.CapSend | proto.CapRecv}, proto.OK},
		{isAllow, []string{"allow", "bob", "none"}, allowOptions{node: "bob"}, proto.OK},
		{isAllow, []string{"allow", "bob", "write"}, nil, proto.Usage},
		{isAllow, []string{"allow", "bob"}, allowOptions{node: "bob", caps: proto.CapSend}, proto.OK},
		{
			isAllow,
			[]string{"allow", "--hub", "none", "--trust", "hub", "bob@hub.example"},
			allowOptions{"bob@hub.example", proto.CapSend, "none", "hub"},
			proto.OK,
		},
		{isAllow, []string{"allow"}, nil, proto.Usage},

		{isAdd, []string{"peer", "add", "bob", alice.String()}, identity.Peer{Name: "bob", ID: alice}, proto.OK},
		{
			isAdd,
			[]string{"peer", "add", "--addr", "a:1", "bob", alice.String()},
			identity.Peer{Name: "bob", ID: alice, Addrs: []string{"a:1"}},
			proto.OK,
		},
		{isAdd, []string{"peer", "add", "bob", oneText}, identity.Peer{Name: "bob", ID: listener, Addrs: tokenAddrs}, proto.OK},
		{isAdd, []string{"peer", "add", "bob", "@" + one}, identity.Peer{Name: "bob", ID: listener, Addrs: tokenAddrs}, proto.OK},
		{
			isAdd,
			[]string{"peer", "add", "--addr", "b:2", "bob", "@" + many},
			identity.Peer{Name: "bob", ID: manyListener, Addrs: []string{"b:2"}},
			proto.OK,
		},
		{isAdd, []string{"peer", "add", "bob", manyText}, nil, proto.Usage}, // any user of the machine can read it
		{isAdd, []string{"peer", "add", "bob", "@" + dir}, nil, proto.IO},
		{isAdd, []string{"peer", "add", "bob", "@" + filepath.Join(dir, "none")}, nil, proto.IO},
		{isAdd, []string{"peer", "add", "bob", "carol"}, nil, proto.Usage},
		{isAdd, []string{"peer", "add", "bob"}, nil, proto.Usage},

		{isForget, []string{"peer", "forget", "bob"}, "bob", proto.OK},
		{isForget, []string{"peer", "forget"}, nil, proto.Usage},
		{isForget, []string{"peer", "forget", "bob", "-f"}, nil, proto.Usage},
	} {
		got, err := tt.read(t, tt.args...)
		if c := proto.CodeOf(err); c != tt.code {
			t.Errorf("%q: got %v (%v), want %v", tt.args, c, err, tt.code)
		} else if tt.want != nil && !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: got %+v, want %+v", tt.args, got, tt.want)
		}
	}
}

var tokenAddrs = []string{"192.0.2.1:4600", "host.example:1"}

// writeToken writes a new token of another node to a file.
func writeToken(t *testing.T, file string, uses uint16) (text string, listener identity.ID) {
	t.Helper()
	key := xtest.NewKey(t)
	tok, err := token.NewCapability(key, proto.CapSend, time.Hour, uses, identity.ID{}, tokenAddrs)
	if err != nil {
		t.Fatal(err)
	}
	text, err = tok.Encode()
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, text+"\n")
	return text, key.ID()
}
