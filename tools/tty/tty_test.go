package tty

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/pipe/term/host"
	"mesh/pipe/term/pty"
	"mesh/pipe/term/share"
	"mesh/pipe/term/view"
	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/cmdline"
	"mesh/tools/cmdline/cmdlinetest"
	"mesh/tools/node"
)

// emptyHome keeps the settings of the user, and the session that this shell is in,
// out of the test.
func emptyHome(t *testing.T) {
	t.Setenv("MESH_HOME", t.TempDir())
	t.Setenv(node.EnvPeer, "")
	t.Setenv(host.EnvSocket, "")
	t.Setenv(host.EnvSession, "")
}

// TestRefused: the code of each is usage, and the error says why.
func TestRefused(t *testing.T) {
	emptyHome(t)
	for line, want := range map[string]string{
		"--share":                              "standard input and output are not a terminal",
		"--share --headless --size 80 -- true": `--size: "80" is not a size`,
		"--share peer":                         "--share takes no PEER",
		"--share a b":                          "got 2 arguments, want at most 1",
		"--share --headless -":                 "either standard input or a command",
		"--share - -- true":                    "either standard input or a command",
		"--share --headless --":                `no command after "--"`,
		"--share --headless --max 0 -- true":   "--max is at least 1",
		"--share --wait 1s --headless -- true": "--wait cannot be combined with --share",
		"--share --raw --headless -- true":     "--raw cannot be combined with --share",
		"--headless peer":                      "--headless goes with --share",
		"--control peer":                       "--control goes with --share",
		"--ttl 1h peer":                        "--ttl goes with --share",
		"--name me peer":                       "--name is the name of a shared session",
		"--share --trust hub --headless":       "--trust cannot be combined with --share",
		"peer -- true":                         "a command goes with --share",
		"--raw --plain peer":                   "either --raw or --plain",
		"--input --read-only peer":             "either --input or --read-only",
		"--clipboard --raw peer":               "--clipboard is for the screen",
		"--share --clipboard --headless":       "--clipboard cannot be combined with --share",
		"--escape ab peer":                     "--escape takes one ASCII character, or none",
		"--escape= peer":                       "--escape takes one ASCII character, or none",
		"--escape é peer":                      "--escape takes one ASCII character, or none",
		"--window 1M peer":                     "unknown flag --window",
	} {
		_, err := cmdlinetest.Read(t, Command, readOptions, strings.Fields(line)...)
		xtest.WantCode(t, line, err, proto.Usage)
		if err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", line, err, want)
		}
	}
}

func TestReadShare(t *testing.T) {
	if !pty.Supported {
		t.Skip("no command can be shared here")
	}
	emptyHome(t)
	read := func(line string) shareOptions {
		t.Helper()
		o, err := cmdlinetest.Read(t, Command, readOptions, strings.Fields(line)...)
		if err != nil || o.share == nil || o.view != nil {
			t.Fatalf("%s: got %+v, %v, want options to share", line, o, err)
		}
		return *o.share
	}
	o := read("--share --headless")
	if !o.terminal.Headless || o.terminal.Command != nil || !o.terminal.Titles || o.offer.Max != defaultMax || o.offer.TTL != 0 || !o.offer.Temporary || o.node.Window != proto.TermWindowBytes {
		t.Errorf("got %+v", o)
	}
	o = read("--share --headless -q --name n --max 3 --ttl 1h --listen :1 --addr a:1 --token-file t -- true -- x")
	if strings.Join(o.terminal.Command, " ") != "true -- x" || o.terminal.Titles || o.terminal.Name != "n" {
		t.Errorf("got the terminal %+v", o.terminal)
	}
	if o.offer.Max != 3 || o.offer.TTL != time.Hour || o.node.Listen != ":1" || o.offer.TokenFile != "t" || len(o.offer.Addrs) != 1 {
		t.Errorf("got the offer %+v", o.offer)
	}
	if o = read("--share -"); !o.terminal.Stream || o.terminal.Headless {
		t.Errorf("got the terminal %+v, want a stream", o.terminal)
	}
	_, err := cmdlinetest.Read(t, Command, readOptions, "--share", "--headless", "--", "no-such-command")
	xtest.WantCode(t, "no such command", err, proto.IO)
}

func TestReadView(t *testing.T) {
	emptyHome(t)
	t.Setenv("TERM", "vt100")
	t.Setenv(host.EnvSession, "abc")
	defaults := viewOptions{peer: node.PeerText{Text: "bob", Argument: true}, titles: true, escape: '~', term: "vt100", session: "abc"}
	for line, change := range map[string]func(*viewOptions){
		"bob":                       func(*viewOptions) {},
		"":                          func(o *viewOptions) { o.peer = node.PeerText{} }, // node.Peer says what is missing
		"--raw bob":                 func(o *viewOptions) { o.form = view.Raw },
		"--once --strict bob":       func(o *viewOptions) { o.form, o.strict = view.Once, true },
		"--json --backlog bob":      func(o *viewOptions) { o.form, o.backlog = view.JSON, true },
		"--input --as me bob":       func(o *viewOptions) { o.input, o.name = true, "me" },
		"--read-only -q bob":        func(o *viewOptions) { o.readOnly, o.titles = true, false },
		"--exit-status bob":         func(o *viewOptions) { o.exitStatus = true },
		"-e none bob":               func(o *viewOptions) { o.escape = 0 },
		"-e ! --wait 1d bob":        func(o *viewOptions) { o.escape, o.wait = '!', 24*time.Hour },
		"--plain --escape none bob": func(o *viewOptions) { o.form, o.escape = view.Plain, 0 },
	} {
		got, err := cmdlinetest.Read(t, Command, readOptions, strings.Fields(line)...)
		if err != nil || got.view == nil {
			t.Errorf("%s: got %v", line, err)
			continue
		}
		want := defaults
		want.node = got.view.node
		change(&want)
		if *got.view != want {
			t.Errorf("%s: got %+v, want %+v", line, *got.view, want)
		}
	}
	t.Setenv(node.EnvPeer, "@token")
	if o, err := cmdlinetest.Read(t, Command, readOptions); err != nil || o.view.peer != (node.PeerText{Text: "@token"}) {
		t.Errorf("MESH_PEER: got %+v, %v", o.view, err)
	}
}

// On streams that are no terminal the form is raw, and nothing is typed.
func TestViewStreams(t *testing.T) {
	t.Parallel()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	s := cmdline.Streams{In: null, Out: io.Discard, Err: io.Discard}
	for _, tt := range []struct {
		o    viewOptions
		form view.Form
		in   bool
	}{
		{viewOptions{}, view.Raw, false},
		{viewOptions{input: true}, view.Raw, true},
		{viewOptions{form: view.Plain}, view.Plain, false},
		{viewOptions{form: view.JSON, input: true}, view.JSON, true},
	} {
		v := tt.o.streams(s)
		if v.Form != tt.form || (v.In != nil) != tt.in || v.Out == nil || v.Notice == nil {
			t.Errorf("%+v: got form %s, input %v", tt.o, v.Form, v.In)
		}
	}
}

func TestReadControl(t *testing.T) {
	emptyHome(t)
	read := func(args ...string) (controlOptions, error) {
		i := 0
		for requests[i].name != args[0] {
			i++
		}
		return cmdlinetest.Read(t, Command, func(c *cli.Context) (controlOptions, error) {
			return readControl(c, requests[i].name, requests[i].least, requests[i].most)
		}, append([]string{"ctl"}, args...)...)
	}
	for _, tt := range []struct {
		line string
		want share.Request
		code proto.Code
	}{
		{"list", share.Request{Do: "list"}, proto.OK},
		{"grant 1", share.Request{Do: "grant", Who: "1"}, proto.OK},
		{"revoke", share.Request{Do: "revoke"}, proto.OK},
		{"revoke bob", share.Request{Do: "revoke", Who: "bob"}, proto.OK},
		{"kick 2", share.Request{Do: "kick", Who: "2"}, proto.OK},
		{"mark", share.Request{Do: "mark"}, proto.OK},
		{"mark here", share.Request{Do: "mark", Text: "here"}, proto.OK},
		{"grant", share.Request{}, proto.Usage},
		{"kick", share.Request{}, proto.Usage},
		{"pause 1", share.Request{}, proto.Usage},
		{"mark a b", share.Request{}, proto.Usage},
		{"list -x", share.Request{}, proto.Usage},
	} {
		got, err := read(strings.Fields(tt.line)...)
		xtest.WantCode(t, tt.line, err, tt.code)
		if err == nil && (got.request != tt.want || got.socket != "" || filepath.Base(got.dir) != "tty") {
			t.Errorf("%s: got %+v, want %+v", tt.line, got, tt.want)
		}
	}
	t.Setenv(host.EnvSocket, "/s")
	if o, err := read("list"); err != nil || o.socket != "/s" {
		t.Errorf("got %+v, %v, want the socket of the environment", o, err)
	}
	o := controlOptions{request: share.Request{Do: "list"}}
	err := control(t.Context(), o, cmdline.Streams{Out: io.Discard})
	xtest.WantCode(t, "outside of a session", err, proto.Usage)
}

func TestViewerLines(t *testing.T) {
	t.Parallel()
	now := time.Now()
	got := viewerLines([]share.Info{
		{Number: 1, Name: "al", Rights: "view", Mode: "screen", Addr: "a:1", Joined: now.Add(-90 * time.Second), Typed: 2, Behind: 3},
		{Number: 2, Name: "bo", Rights: "control", Mode: "raw", Addr: "b:2", Joined: now, Cols: 80, Rows: 24, Asks: true},
	}, now)
	want := "1\tal\tview\tscreen\ta:1\t1m30s\t2\t3\t-\t-\n2\tbo\tcontrol\traw\tb:2\t0s\t0\t0\t80x24\tasks\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
