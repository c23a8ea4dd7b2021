//go:build unix

package cat

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/cmdline"
	"mesh/tools/cmdline/cmdlinetest"
	"mesh/tools/node"
	"mesh/tools/nodeflags"
	"mesh/tools/outgoing"
	"mesh/tools/recv"
)

// receiver is a mesh-recv that waits at loopback.
type receiver struct {
	wait  func() cmdlinetest.Result
	token string // @FILE
}

func startRecv(t *testing.T, args ...string) receiver {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	r := receiver{cmdlinetest.Start(t, recv.Command, "", append(args, "--listen", "127.0.0.1:0", "--token-file", file)...), "@" + file}
	cmdlinetest.WaitFor(t, file, "mesh1")
	return r
}

// runCat runs mesh-cat with a node of its own and returns its standard output.
func runCat(t *testing.T, ctx context.Context, o options, in io.Reader) (string, error) {
	t.Helper()
	var out bytes.Buffer
	o.node = nodeflags.Options{State: t.TempDir()}
	err := run(ctx, o, cmdline.Streams{Name: "mesh-cat", In: in, Out: &out, Err: io.Discard})
	return out.String(), err
}

func to(r receiver) node.PeerText { return node.PeerText{Text: r.token, Argument: true} }

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSend(t *testing.T) {
	t.Parallel()
	file := writeFile(t, filepath.Join(t.TempDir(), "f"), "a file")
	for _, tt := range []struct {
		what   string
		recv   []string
		o      options
		code   proto.Code // of mesh-cat
		status int        // of mesh-recv
		stdout string
	}{
		{"standard input", nil, options{}, proto.OK, 0, "from stdin"},
		{"a command", nil, options{command: []string{"printf", "from %s", "cmd"}}, proto.OK, 0, "from cmd"},
		{"a command that reads", nil, options{command: []string{"cat"}}, proto.OK, 0, "from stdin"},
		{"a command that fails", nil, options{command: []string{"sh", "-c", "exit 3"}}, proto.Producer, int(proto.Producer), ""},
		{"files as an archive", []string{"--archive", "tar"}, options{files: outgoing.Options{Names: []string{file}}}, proto.OK, 0, "a file"},
	} {
		r := startRecv(t, tt.recv...)
		tt.o.peer = to(r)
		out, err := runCat(t, t.Context(), tt.o, strings.NewReader("from stdin"))
		xtest.WantCode(t, tt.what, err, tt.code)
		if out != "" {
			t.Errorf("%s: got %q from mesh-cat", tt.what, out)
		}
		got := r.wait()
		if exact := tt.recv == nil; got.Status != tt.status || !strings.Contains(got.Stdout, tt.stdout) || exact && got.Stdout != tt.stdout {
			t.Errorf("%s: got %+v from mesh-recv, want %d and %q", tt.what, got, tt.status, tt.stdout)
		}
	}
}

// What a peer does not take is refused with a hint, and the peer still waits.
func TestKinds(t *testing.T) {
	t.Parallel()
	file := writeFile(t, filepath.Join(t.TempDir(), "f"), "a file")
	for _, tt := range []struct {
		recv         []string
		wrong, right options
		hint         string
	}{
		{nil, options{files: outgoing.Options{Names: []string{file}}}, options{}, "this peer takes the content of a file"},
		{[]string{"-C", t.TempDir()}, options{}, options{files: outgoing.Options{Names: []string{file}}}, "mesh-cat PEER FILE…"},
	} {
		r := startRecv(t, tt.recv...)
		tt.wrong.peer, tt.right.peer = to(r), to(r)
		state := t.TempDir() // the token is for one node
		for _, o := range []options{tt.wrong, tt.right} {
			o.node.State = state
			err := run(t.Context(), o, cmdline.Streams{In: strings.NewReader("x"), Out: io.Discard, Err: io.Discard})
			if o.files.Names == nil == (tt.wrong.files.Names == nil) {
				xtest.WantCode(t, "the wrong kind", err, proto.Declined)
				if got := strings.Join(proto.Hints(err), " "); !strings.Contains(got, tt.hint) {
					t.Errorf("got hint %q, want %q in it", got, tt.hint)
				}
			} else if err != nil {
				t.Errorf("the right kind: %v", err)
			}
		}
		if got := r.wait(); got.Status != 0 {
			t.Errorf("got %+v from mesh-recv", got)
		}
	}
}

// Mistakes are found before a peer is called: the peer does not exist.
func TestBeforeTheCall(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := writeFile(t, filepath.Join(dir, "f"), "")
	for _, tt := range []struct {
		what string
		o    options
		code proto.Code
		out  string
	}{
		{"no PEER", options{}, proto.Usage, ""},
		{"no such file", options{files: outgoing.Options{Names: []string{filepath.Join(dir, "none")}}}, proto.IO, ""},
		{"a list", options{files: outgoing.Options{Names: []string{file}, DryRun: true}}, proto.OK, "f\n"},
		{"a list of a missing file", options{files: outgoing.Options{Names: []string{filepath.Join(dir, "none")}, DryRun: true}}, proto.IO, ""},
		{"no such command", options{peer: to(startRecvLater(t)), command: []string{"no-such-command"}}, proto.IO, ""},
	} {
		out, err := runCat(t, t.Context(), tt.o, strings.NewReader("x"))
		xtest.WantCode(t, tt.what, err, tt.code)
		if out != tt.out {
			t.Errorf("%s: got %q, want %q", tt.what, out, tt.out)
		}
	}
}

// startRecvLater returns a token whose listener has ended.
func startRecvLater(t *testing.T) receiver {
	t.Helper()
	r := startRecv(t, "--deadline", "50ms")
	if got := r.wait(); got.Status != int(proto.Timeout) {
		t.Fatalf("got %+v from mesh-recv", got)
	}
	return r
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	_, err := runCat(t, t.Context(), options{peer: to(startRecvLater(t))}, strings.NewReader("x"))
	xtest.WantCode(t, "the listener has ended", err, proto.Unreachable)
	if got := strings.Join(proto.Hints(err), " "); !strings.Contains(got, "the listener may have ended") {
		t.Errorf("got hint %q", got)
	}
}

// A source that fails, and a context that ends, leave the peer with an error.
func TestBrokenSource(t *testing.T) {
	t.Parallel()
	failure := errors.New("disk on fire")
	r := startRecv(t)
	_, err := runCat(t, t.Context(), options{peer: to(r)}, io.MultiReader(strings.NewReader("a part"), iotest.ErrReader(failure)))
	xtest.WantCode(t, "a source that fails", err, proto.IO)
	if !errors.Is(err, failure) {
		t.Errorf("got %v, want %v", err, failure)
	}
	if got := r.wait(); got.Status == 0 {
		t.Errorf("got %+v from mesh-recv, want a failure", got)
	}

	r = startRecv(t)
	stopped := proto.Errorf(proto.Interrupted, "stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	in, feed := io.Pipe()
	defer feed.Close()
	go func() {
		_, _ = feed.Write([]byte("a part"))
		cancel(stopped)
	}()
	if _, err := runCat(t, ctx, options{peer: to(r)}, in); !errors.Is(err, stopped) {
		t.Errorf("got %v, want %v", err, stopped)
	}
	if got := r.wait(); got.Status != int(proto.Truncated) {
		t.Errorf("got %+v from mesh-recv, want %v", got, proto.Truncated)
	}
}
