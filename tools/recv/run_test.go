package recv

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/xtest"
	"mesh/tools/cat"
	"mesh/tools/cmdline"
	"mesh/tools/cmdline/cmdlinetest"
)

// running is a mesh-recv that waits, or transfers.
type running struct {
	options options
	out     bytes.Buffer // read it after the end
	stop    context.CancelCauseFunc
	ended   chan error // sent once
	tokens  string     // the file
	events  string     // the file
}

// start runs mesh-recv with a node of its own until it waits at loopback.
func start(t *testing.T, o options) *running {
	t.Helper()
	dir := t.TempDir()
	o.node.State, o.node.Listen = filepath.Join(dir, "state"), "127.0.0.1:0"
	o.offer.TokenFile, o.offer.TTL = filepath.Join(dir, "token"), time.Hour
	o.node.Events = filepath.Join(dir, "events")
	r := &running{options: o, ended: make(chan error, 1), tokens: o.offer.TokenFile, events: o.node.Events}
	ctx, stop := context.WithCancelCause(t.Context())
	r.stop = stop
	go func() { r.ended <- run(ctx, o, cmdline.Streams{Name: "mesh-recv", Out: &r.out, Err: io.Discard}) }()
	r.waitFor(t, r.tokens, "mesh1")
	return r
}

// waitFor waits until a file that r writes has the text.
func (r *running) waitFor(t *testing.T, file, text string) {
	t.Helper()
	for {
		if got, err := os.ReadFile(file); err == nil && strings.Contains(string(got), text) {
			return
		}
		select {
		case err := <-r.ended:
			t.Fatalf("mesh-recv has ended, without %s in %s: %v", text, file, err)
		case <-time.After(time.Millisecond):
		}
	}
}

// send runs mesh-cat with the token of r.
func (r *running) send(t *testing.T, stdin string, names ...string) cmdlinetest.Result {
	t.Helper()
	return cmdlinetest.Run(t, cat.Command, stdin, append([]string{"@" + r.tokens}, names...)...)
}

// want checks how mesh-recv has ended.
func (r *running) want(t *testing.T, what string, code proto.Code) {
	t.Helper()
	xtest.WantCode(t, what, <-r.ended, code)
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// names returns the names in a folder.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

// catAlone is the toolbox of one tool.
var catAlone = []func() *cli.Command{cat.Command}

func tempFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestPipe(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 1<<16 - 1, 1 << 16, 1<<16 + 1, 1 << 20} {
		text := string(xtest.Random(size))
		r := start(t, options{})
		if got := r.send(t, text); got.Status != 0 || got.Stdout+got.Stderr != "" {
			t.Errorf("%d bytes: got %+v from mesh-cat", size, got)
		}
		r.want(t, "mesh-recv", proto.OK)
		if got := r.out.String(); got != text {
			t.Errorf("got %d other bytes, want %d", len(got), size)
		}
	}
}

func TestOutputFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := write(t, filepath.Join(t.TempDir(), "source"), "of a file")
	path := filepath.Join(dir, "f")
	for _, tt := range []struct {
		what, stdin string
		names       []string
		force       bool
		want        string
	}{
		{"a pipe", "of a pipe", nil, false, "of a pipe"},
		{"a pipe, over it", "another", nil, true, "another"},
		{"one file, over it", "", []string{source}, true, "of a file"},
	} {
		r := start(t, options{output: path, store: files.ReceiveOptions{Force: tt.force}})
		if got := r.send(t, tt.stdin, tt.names...); got.Status != 0 {
			t.Errorf("%s: got %+v from mesh-cat", tt.what, got)
		}
		r.want(t, tt.what, proto.OK)
		if got := read(t, path); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.what, got, tt.want)
		}
	}
	err := run(t.Context(), options{output: path, node: start(t, options{}).options.node}, cmdline.Streams{Out: io.Discard, Err: io.Discard})
	xtest.WantCode(t, "a file that exists", err, proto.Unsafe)
	if got := names(t, dir); got != "f" {
		t.Errorf("got %s, want f alone", got)
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	source := t.TempDir()
	write(t, filepath.Join(source, "d", "a"), "one")
	write(t, filepath.Join(source, "d", "e", "b"), "two")
	dir := t.TempDir()
	r := start(t, options{directory: dir})
	if got := r.send(t, "", filepath.Join(source, "d")); got.Status != 0 {
		t.Errorf("got %+v from mesh-cat", got)
	}
	r.want(t, "a folder", proto.OK)
	if a, b := read(t, filepath.Join(dir, "d", "a")), read(t, filepath.Join(dir, "d", "e", "b")); a != "one" || b != "two" {
		t.Errorf("got %q and %q, want one and two", a, b)
	}

	write(t, filepath.Join(source, "d", "a"), "changed")
	r = start(t, options{directory: dir})
	if got := r.send(t, "", filepath.Join(source, "d")); got.Status != int(proto.Unsafe) {
		t.Errorf("another file of the name: got %+v from mesh-cat", got)
	}
	err := <-r.ended
	xtest.WantCode(t, "another file of the name", err, proto.Unsafe)
	if got := strings.Join(proto.Hints(err), " "); !strings.Contains(got, "--force replaces") {
		t.Errorf("got hint %q", got)
	}

	r = start(t, options{directory: dir})
	if got := r.send(t, "a pipe"); got.Status != int(proto.Declined) || !strings.Contains(got.Stderr, "the peer takes files") {
		t.Errorf("a pipe to a folder: got %+v from mesh-cat", got)
	}
	r.stop(nil)
	<-r.ended

	r = start(t, options{directory: dir, name: "n"})
	if got := r.send(t, "a pipe"); got.Status != 0 {
		t.Errorf("a pipe with a name: got %+v from mesh-cat", got)
	}
	r.want(t, "a pipe with a name", proto.OK)
	if got := read(t, filepath.Join(dir, "n")); got != "a pipe" {
		t.Errorf("got %q, want a pipe", got)
	}

	missing := options{directory: filepath.Join(dir, "none"), node: r.options.node}
	xtest.WantCode(t, "no folder", run(t.Context(), missing, cmdline.Streams{Out: io.Discard, Err: io.Discard}), proto.IO)
}

func TestArchive(t *testing.T) {
	t.Parallel()
	source := write(t, filepath.Join(t.TempDir(), "f"), "in an archive")
	for _, format := range []string{files.Zip, files.Tar} {
		r := start(t, options{archive: format})
		if got := r.send(t, "", source); got.Status != 0 {
			t.Errorf("%s: got %+v from mesh-cat", format, got)
		}
		r.want(t, format, proto.OK)
		if !strings.Contains(r.out.String(), "f") || r.out.Len() < 100 {
			t.Errorf("%s: got %d bytes", format, r.out.Len())
		}
	}
}

// A peer that is refused ends nothing: the right one is still accepted.
func TestDenied(t *testing.T) {
	t.Parallel()
	r := start(t, options{})
	key, err := identity.LoadKey(r.options.node.State)
	if err != nil {
		t.Fatal(err)
	}
	right, err := token.Parse(strings.TrimSpace(read(t, r.tokens)))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		what   string
		caps   proto.Caps
		holder identity.ID
		want   proto.Code
	}{
		{"for another node", proto.CapSend, xtest.NewKey(t).ID(), proto.Denied},
		{"for something else", proto.CapRecv, identity.ID{}, proto.Capability},
	} {
		tok, err := token.NewCapability(key, tt.caps, time.Hour, 1, tt.holder, right.Addrs)
		if err != nil {
			t.Fatal(err)
		}
		text, err := tok.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if got := cmdlinetest.Run(t, cat.Command, "x", text); got.Status != int(tt.want) {
			t.Errorf("a token %s: got %+v, want %v", tt.what, got, tt.want)
		}
	}
	if got := r.send(t, "the right one"); got.Status != 0 {
		t.Errorf("the right token: got %+v", got)
	}
	r.want(t, "mesh-recv", proto.OK)
	if got := r.out.String(); got != "the right one" {
		t.Errorf("got %q, want the right one", got)
	}
}

// While one peer sends, there is no place for another, and no part is published.
func TestBusyAndCancelled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := start(t, options{output: filepath.Join(dir, "f")})
	in, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer feed.Close()
	out, errOut := tempFile(t), tempFile(t)
	first := make(chan int, 1) // sent once
	go func() {
		first <- cmdline.Main(catAlone, nil, []string{"mesh-cat", "@" + r.tokens}, in, out, errOut)
	}()
	if _, err := feed.WriteString("a part"); err != nil {
		t.Fatal(err)
	}
	r.waitFor(t, r.events, `"event":"peer"`)
	if got := r.send(t, "second"); got.Status != int(proto.Busy) {
		t.Errorf("got %+v of the second mesh-cat, want %v", got, proto.Busy)
	}
	stopped := proto.Errorf(proto.Interrupted, "stopped")
	r.stop(stopped)
	if err := <-r.ended; !errors.Is(err, stopped) {
		t.Errorf("got %v, want %v", err, stopped)
	}
	if got := <-first; got != int(proto.Truncated) {
		t.Errorf("got status %d of mesh-cat, want %d", got, proto.Truncated)
	}
	if got := names(t, dir); got != "" {
		t.Errorf("got %s in the folder, want nothing", got)
	}
}

func TestCancelledWhileWaiting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := start(t, options{output: filepath.Join(dir, "f")})
	stopped := errors.New("stopped")
	r.stop(stopped)
	if err := <-r.ended; !errors.Is(err, stopped) {
		t.Errorf("got %v, want %v", err, stopped)
	}
	if got := names(t, dir); got != "" {
		t.Errorf("got %s in the folder, want nothing", got)
	}
}

func TestNoDaemon(t *testing.T) {
	t.Parallel()
	o := options{next: true}
	o.node.State = t.TempDir()
	err := run(t.Context(), o, cmdline.Streams{Out: io.Discard, Err: io.Discard})
	xtest.WantCode(t, "--next without a daemon", err, proto.Unreachable)
	if got := strings.Join(proto.Hints(err), " "); !strings.Contains(got, "mesh-listen --inbox DIR starts one") {
		t.Errorf("got hint %q", got)
	}
}
