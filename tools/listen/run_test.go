//go:build unix

package listen

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/cat"
	"mesh/tools/cmdline"
	"mesh/tools/cmdline/cmdlinetest"
)

// buffer is a stream that is read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements [io.Writer].
func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String returns what was written.
func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var errStopped = proto.Errorf(proto.Terminated, "stopped")

// listener is a mesh-listen that waits at loopback.
type listener struct {
	out, err buffer
	hangups  chan os.Signal
	stop     func() error // with errStopped, and waits for the end
	end      func() error // waits for it
	token    string       // @FILE
	events   string       // the file
}

// start runs mesh-listen until it waits.
func start(t *testing.T, stdin string, o options) *listener {
	t.Helper()
	dir := t.TempDir()
	o.node.State, o.node.Listen, o.node.Events = filepath.Join(dir, "state"), "127.0.0.1:0", filepath.Join(dir, "events")
	o.offer.TokenFile, o.offer.TTL = filepath.Join(dir, "token"), time.Hour
	if o.offer.Max == 0 {
		o.offer.Max = defaultMax
	}
	l := &listener{hangups: make(chan os.Signal), token: "@" + o.offer.TokenFile, events: o.node.Events}
	o.hangups = func() (<-chan os.Signal, func()) { return l.hangups, func() {} }
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1) // sent once
	go func() {
		ended <- run(ctx, o, cmdline.Streams{Name: "mesh-listen", In: strings.NewReader(stdin), Out: &l.out, Err: &l.err})
	}()
	l.end = sync.OnceValue(func() error { return <-ended })
	l.stop = func() error {
		cancel(errStopped)
		return l.end()
	}
	t.Cleanup(func() { _ = l.stop() })
	cmdlinetest.WaitFor(t, o.offer.TokenFile, "mesh1")
	return l
}

// cat runs mesh-cat with the token of l.
func (l *listener) cat(t *testing.T, stdin string, names ...string) cmdlinetest.Result {
	t.Helper()
	return cmdlinetest.Run(t, cat.Command, stdin, append([]string{l.token}, names...)...)
}

func TestJoin(t *testing.T) {
	t.Parallel()
	l := start(t, "from the listener", options{mode: join})
	if got := l.cat(t, "from the dialer"); got.Status != 0 || got.Stdout != "from the listener" {
		t.Errorf("got %+v from mesh-cat", got)
	}
	if err := l.end(); err != nil || l.out.String() != "from the dialer" {
		t.Errorf("got %q, %v from mesh-listen", l.out.String(), err)
	}
}

// Each peer has a run of the command. One that fails ends nothing else.
func TestServe(t *testing.T) {
	t.Parallel()
	l := start(t, "", options{mode: serve, command: []string{"sh", "-c", "read word; echo $word; test $word != bad"}})
	for _, tt := range []struct {
		in, out string
		status  int
	}{
		{"one\n", "one\n", 0},
		{"bad\n", "bad\n", int(proto.Producer)},
		{"two\n", "two\n", 0},
	} {
		if got := l.cat(t, tt.in); got.Status != tt.status || got.Stdout != tt.out {
			t.Errorf("%q: got %+v, want %d and %q", tt.in, got, tt.status, tt.out)
		}
	}
	if err := l.stop(); !errors.Is(err, errStopped) {
		t.Errorf("got %v, want %v", err, errStopped)
	}
	if got := l.err.String(); !strings.Contains(got, "mesh-listen: error: peer mk1") {
		t.Errorf("got %q on standard error", got)
	}
}

func TestOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		command   string
		cat, code proto.Code
	}{
		{"exit 0", proto.OK, proto.OK},
		{"exit 7", proto.Consumer, 7},
		{"kill -KILL $$", proto.Consumer, 137},
	} {
		l := start(t, "", options{mode: serve, once: true, command: []string{"sh", "-c", "cat >/dev/null; " + tt.command}})
		if got := l.cat(t, "x"); got.Status != int(tt.cat) {
			t.Errorf("%s: got %+v from mesh-cat, want %v", tt.command, got, tt.cat)
		}
		xtest.WantCode(t, tt.command, l.end(), tt.code)
	}
}

func TestInbox(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(source, []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options{mode: inbox, inbox: inboxFlags{dir: dir, name: "pipe", onReceive: `echo "$MESH_FILE $MESH_BYTES"`}}
	renamed := o.inbox
	renamed.receive.Rename = true
	o.reread = func(context.Context) (rereadFlags, error) { return rereadFlags{inbox: renamed}, nil }
	l := start(t, "", o)
	for _, tt := range []struct {
		what, stdin string
		names       []string
		status      int
		file, text  string
	}{
		{"a file", "", []string{source}, 0, "f", "a file"},
		{"a pipe", "one", nil, 0, "pipe", "one"},
		{"the same again", "one", nil, 0, "pipe", "one"},
		{"another pipe", "two", nil, int(proto.Unsafe), "pipe", "one"},
	} {
		if got := l.cat(t, tt.stdin, tt.names...); got.Status != tt.status {
			t.Errorf("%s: got %+v, want %d", tt.what, got, tt.status)
		}
		if got, err := os.ReadFile(filepath.Join(dir, tt.file)); err != nil || string(got) != tt.text {
			t.Errorf("%s: got %q, %v, want %q", tt.what, got, err, tt.text)
		}
	}
	if got, want := l.out.String(), filepath.Join(dir, "f")+" 6\n"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q from the commands, want %q first", got, want)
	}

	l.hangups <- os.Interrupt // any: the settings are read again
	cmdlinetest.WaitFor(t, l.events, `"event":"reload"`)
	if got := l.cat(t, "two"); got.Status != 0 {
		t.Errorf("after the settings: got %+v", got)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "pipe (2)")); err != nil || string(got) != "two" {
		t.Errorf("got %q, %v, want a second file", got, err)
	}
	if err := l.stop(); !errors.Is(err, errStopped) {
		t.Errorf("got %v, want %v", err, errStopped)
	}
}

// A delivery that is too large, and settings with a mistake, end nothing.
func TestInboxGoesOn(t *testing.T) {
	t.Parallel()
	o := options{mode: inbox, inbox: inboxFlags{dir: t.TempDir(), name: "pipe", receive: files.ReceiveOptions{MaxBytes: 3}}}
	o.reread = func(context.Context) (rereadFlags, error) {
		return rereadFlags{inbox: inboxFlags{dir: "/no/such/folder"}}, nil
	}
	l := start(t, "", o)
	if got := l.cat(t, "four"); got.Status != int(proto.Space) {
		t.Errorf("got %+v, want %v", got, proto.Space)
	}
	l.hangups <- os.Interrupt
	cmdlinetest.WaitFor(t, l.events, `"event":"reload"`)
	if got := l.cat(t, "one"); got.Status != 0 {
		t.Errorf("got %+v, want 0", got)
	}
	_ = l.stop()
	if got := l.err.String(); !strings.Contains(got, "settings stay as they were") || !strings.Contains(got, "delivery from mk1") {
		t.Errorf("got %q on standard error", got)
	}
}

func TestInboxFolder(t *testing.T) {
	t.Parallel()
	o := options{mode: inbox, inbox: inboxFlags{dir: filepath.Join(t.TempDir(), "none")}}
	o.node.State = t.TempDir()
	xtest.WantCode(t, "no folder", run(t.Context(), o, cmdline.Streams{Out: io.Discard, Err: io.Discard}), proto.IO)
}
