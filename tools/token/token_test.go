package token

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/xtest"
	"mesh/tools/cmdline"
)

func writeFile(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a subcommand in home and returns its standard output.
func run[O any](f func(string, O, cmdline.Streams) error, home string, o O) (string, error) {
	var out bytes.Buffer
	err := f(home, o, cmdline.Streams{Name: "mesh-token", Out: &out, Err: io.Discard})
	return out.String(), err
}

// allowNow is allow without an end of the wait for a hub.
func allowNow(home string, o allowOptions, s cmdline.Streams) error {
	return allow(context.Background(), home, o, s)
}

// must is run for what cannot fail.
func must[O any](t *testing.T, f func(string, O, cmdline.Streams) error, home string, o O) string {
	t.Helper()
	out, err := run(f, home, o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestNew(t *testing.T) {
	t.Parallel()
	home, alice := t.TempDir(), xtest.NewKey(t).ID()
	id := must(t, printID, home, idOptions{})
	o := newOptions{caps: proto.CapSend, ttl: time.Hour, uses: 3, holder: alice}
	_, err := run(printNew, home, o)
	xtest.WantCode(t, "no address is known", err, proto.Usage)

	writeFile(t, filepath.Join(home, "listener_addrs"), "192.0.2.1:1\n192.0.2.2:2\n")
	for _, tt := range []struct{ addrs, want []string }{
		{nil, []string{"192.0.2.1:1", "192.0.2.2:2"}},
		{[]string{"[::1]:3"}, []string{"[::1]:3"}},
	} {
		o.addrs = tt.addrs
		got, err := token.Parse(strings.TrimSpace(must(t, printNew, home, o)))
		if err != nil {
			t.Fatal(err)
		}
		if got.Listener.String()+"\n" != id || got.Caps != o.caps || got.Uses != 3 || got.Holder != alice || !slices.Equal(got.Addrs, tt.want) {
			t.Errorf("addresses %q: got %+v", tt.addrs, got)
		}
		if d := time.Until(got.Expires); d <= 0 || d > time.Hour+time.Second { // whole seconds, rounded up
			t.Errorf("got a token that expires in %v, want an hour", d)
		}
	}
	o.addrs = []string{"nonsense"}
	_, err = run(printNew, home, o)
	xtest.WantCode(t, "a wrong address", err, proto.Usage)
}

func TestStandardOutput(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want proto.Code
	}{{nil, proto.OK}, {syscall.EPIPE, proto.BrokenStdout}, {syscall.ENOSPC, proto.Space}, {io.ErrClosedPipe, proto.IO}} {
		err := printID(t.TempDir(), idOptions{}, cmdline.Streams{Out: failing{tt.err}})
		xtest.WantCode(t, "print the id", err, tt.want)
	}
}

// failing is a writer whose writes end with err.
type failing struct{ err error }

func (f failing) Write(p []byte) (int, error) { return len(p), f.err }

func TestShow(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	text, listener := writeToken(t, file, 0)
	now := time.Now()
	show := func(o showOptions, in string, now time.Time) (string, error) {
		var out bytes.Buffer
		err := show(o, cmdline.Streams{In: strings.NewReader(in), Out: &out}, now)
		return out.String(), err
	}
	byFile, err := show(showOptions{file: file}, "", now)
	if err != nil {
		t.Fatal(err)
	}
	byInput, err := show(showOptions{stdin: true}, text[:40]+"\n  "+text[40:], now) // as a mail breaks it
	if err != nil || byInput != byFile {
		t.Errorf("got %q, %v, want %q", byInput, err, byFile)
	}
	for _, want := range []string{"kind       capability\n", "listener   " + listener.String(), "allows     send\n", "uses       any number\n", "holder     anybody\n"} {
		if !strings.Contains(byFile, want) {
			t.Errorf("got %q, want a line %q", byFile, want)
		}
	}
	if strings.Contains(byFile, "expired") || strings.Contains(byFile, text[len(text)-24:]) {
		t.Errorf("got %q, want neither an expired token nor its secret", byFile)
	}
	late, err := show(showOptions{stdin: true, json: true}, text, now.Add(2*time.Hour))
	var d description
	if err != nil || json.Unmarshal([]byte(late), &d) != nil {
		t.Fatalf("got %q, %v", late, err)
	}
	if !d.Expired || d.Expires == nil || d.Holder != nil || d.Uses != 0 || !slices.Equal(d.Addrs, tokenAddrs) || !slices.Equal(d.Allows, []string{"send"}) {
		t.Errorf("got %+v", d)
	}
	for in, want := range map[string]proto.Code{"": proto.Usage, "mesh1": proto.Usage, text[1:]: proto.Usage, text[:len(text)-1]: proto.Usage} {
		_, err := show(showOptions{stdin: true}, in, now)
		xtest.WantCode(t, "show "+in, err, want)
	}
	_, err = show(showOptions{file: "none"}, "", now)
	xtest.WantCode(t, "no file", err, proto.IO)
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	var id token.ID
	id[0] = 0xab
	for range 2 { // the second time is not an error, and adds nothing
		if out := must(t, revoke, home, revokeOptions{id: &id}); out != "" {
			t.Errorf("got %q, want no output", out)
		}
	}
	text, err := os.ReadFile(filepath.Join(home, token.RevokedFile))
	if err != nil || string(text) != id.String()+"\n" {
		t.Errorf("got %q, %v, want the id once", text, err)
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	home, alice, carol := t.TempDir(), xtest.NewKey(t).ID(), xtest.NewKey(t).ID()
	allowed := func(want string) {
		t.Helper()
		if got := must(t, printAllowed, home, nothing{}); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	allowed("")
	_, err := run(allowNow, home, allowOptions{node: "alice", caps: proto.CapSend})
	xtest.WantCode(t, "a name that is not in the address book", err, proto.Usage)
	must(t, addPeer, home, identity.Peer{Name: "alice", ID: alice})
	must(t, addPeer, home, identity.Peer{Name: "al", ID: alice})
	must(t, allowNow, home, allowOptions{node: "alice", caps: proto.CapSend | proto.CapRecv})
	must(t, allowNow, home, allowOptions{node: carol.String(), caps: proto.CapRecv})
	allowed(alice.String() + " send,recv alice,al\n" + carol.String() + " recv\n")
	must(t, allowNow, home, allowOptions{node: "al", caps: proto.CapRecv})
	must(t, allowNow, home, allowOptions{node: carol.String()})
	allowed(alice.String() + " recv alice,al\n")
	for _, bad := range []string{"mk1x", "mesh1secret", "a b", ""} {
		_, err := run(allowNow, home, allowOptions{node: bad, caps: proto.CapSend})
		xtest.WantCode(t, bad, err, proto.Usage)
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want the token left out", bad, err)
		}
	}
}

func TestPeers(t *testing.T) {
	t.Parallel()
	home, alice, carol := t.TempDir(), xtest.NewKey(t).ID(), xtest.NewKey(t).ID()
	list := func(want string) {
		t.Helper()
		if got := must(t, listPeers, home, nothing{}); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	list("")
	must(t, addPeer, home, identity.Peer{Name: "alice", ID: alice, Addrs: []string{"a:1", "b:2"}})
	must(t, addPeer, home, identity.Peer{Name: "carol", ID: carol})
	list("alice " + alice.String() + " a:1,b:2\ncarol " + carol.String() + "\n")
	must(t, addPeer, home, identity.Peer{Name: "alice", ID: alice, Addrs: []string{"c:3"}})
	list("alice " + alice.String() + " c:3\ncarol " + carol.String() + "\n")

	self, err := identity.ParseID(strings.TrimSpace(must(t, printID, home, idOptions{})))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		what string
		peer identity.Peer
		want proto.Code
	}{
		{"another key", identity.Peer{Name: "alice", ID: carol}, proto.Identity},
		{"this node", identity.Peer{Name: "me", ID: self}, proto.Usage},
		{"a wrong name", identity.Peer{Name: "a b", ID: alice}, proto.Usage},
		{"a token as name", identity.Peer{Name: "mesh1secret", ID: alice}, proto.Usage},
		{"a wrong address", identity.Peer{Name: "bob", ID: alice, Addrs: []string{"x"}}, proto.Usage},
	} {
		_, err := run(addPeer, home, tt.peer)
		xtest.WantCode(t, tt.what, err, tt.want)
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want the token left out", tt.what, err)
		}
	}
	must(t, forgetPeer, home, "alice")
	list("carol " + carol.String() + "\n")
	for _, name := range []string{"alice", "a b", "mesh1secret"} {
		_, err := run(forgetPeer, home, name)
		xtest.WantCode(t, "forget "+name, err, proto.Usage)
	}
}
