package sum

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"mesh/pipe/digest"
	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/cmdline"
	"mesh/tools/cmdline/cmdlinetest"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want options
		code proto.Code
	}{
		{nil, options{files: []string{"-"}}, proto.OK},
		{[]string{"a", "-", "b"}, options{files: []string{"a", "-", "b"}}, proto.OK},
		{[]string{"--", "-a", "--"}, options{files: []string{"-a", "--"}}, proto.OK},
		{[]string{"-c"}, options{files: []string{"-"}, check: true}, proto.OK},
		{[]string{"-cq", "list"}, options{files: []string{"list"}, check: true, quiet: true}, proto.OK},
		{[]string{"--tee"}, options{tee: true}, proto.OK},
		{[]string{"--tee", "--digest-file", "d"}, options{tee: true, digestFile: "d"}, proto.OK},
		{[]string{"--tee", "a"}, options{}, proto.Usage},
		{[]string{"--tee", "--check"}, options{}, proto.Usage},
		{[]string{"--digest-file", "d"}, options{}, proto.Usage},
		{[]string{"--quiet"}, options{}, proto.Usage},
		{[]string{"a", "-c"}, options{}, proto.Usage},
	} {
		got, err := cmdlinetest.Read(t, Command, readOptions, tt.args...)
		if len(got.files) == 0 {
			got.files = nil
		}
		if c := proto.CodeOf(err); c != tt.code {
			t.Errorf("%q: got %v (%v), want %v", tt.args, c, err, tt.code)
		} else if err == nil && !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: got %+v, want %+v", tt.args, got, tt.want)
		}
	}
}

// runWith runs with in as standard input.
func runWith(o options, in io.Reader) (stdout, stderr string, err error) {
	var out, errOut bytes.Buffer
	err = run(context.Background(), o, cmdline.Streams{Name: "mesh-sum", In: in, Out: &out, Err: &errOut})
	return out.String(), errOut.String(), err
}

func TestPrint(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(file, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	of := func(text string) string { return digest.Sum([]byte(text)).String() }
	for _, tt := range []struct {
		files    []string
		out, err string // err is a part of standard error
		code     proto.Code
	}{
		{[]string{"-"}, of("input") + "  -\n", "", proto.OK},
		{[]string{file}, of("data") + "  " + file + "\n", "", proto.OK},
		{[]string{file + "x", file}, of("data") + "  " + file + "\n", "mesh-sum: error: open " + file + "x: ", proto.IO},
		{[]string{filepath.Dir(file)}, "", "is a directory", proto.IO},
	} {
		out, errOut, err := runWith(options{files: tt.files}, strings.NewReader("input"))
		xtest.WantCode(t, strings.Join(tt.files, " "), err, tt.code)
		if out != tt.out || !strings.Contains(errOut, tt.err) || (tt.err == "") != (errOut == "") {
			t.Errorf("%q: got %q and %q, want %q and %q", tt.files, out, errOut, tt.out, tt.err)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(file, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	good, bad := line(digest.Sum([]byte("data")), file), line(digest.Sum(nil), file)
	for _, tt := range []struct {
		what, list string
		quiet      bool
		out, err   string
		code       proto.Code
	}{
		{"match", good + good, false, file + ": OK\n" + file + ": OK\n", "", proto.OK},
		{"match, quiet", good, true, "", "", proto.OK},
		{"no newline at the end", strings.TrimSuffix(good, "\n"), true, "", "", proto.OK},
		{"mismatch", good + bad, true, file + ": FAILED\n", "of 2 digests, 1 did not match", proto.Integrity},
		{"no file", line(digest.Sum(nil), file+"x"), true, file + "x: FAILED (no such file or directory)\n", "of 1 digests, 1 could not be read", proto.IO},
		{"malformed, then mismatch", "x\n" + bad, true, file + ": FAILED\n", "of 2 digests, 1 did not match, 1 had no valid line", proto.Protocol},
		{"empty", "", false, "", "-: no digests in it", proto.Protocol},
		{"longest line", strings.Repeat("x", maxLineBytes-1) + "\n", false, "", "1 had no valid line", proto.Protocol},
		{"line too long", good + strings.Repeat("x", maxLineBytes) + "\n", true, "", "-:2: line longer than", proto.Protocol},
	} {
		out, _, err := runWith(options{files: []string{"-"}, check: true, quiet: tt.quiet}, strings.NewReader(tt.list))
		xtest.WantCode(t, tt.what, err, tt.code)
		if out != tt.out || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: got %q, %v, want %q, %q", tt.what, out, err, tt.out, tt.err)
		}
	}
	_, _, err := runWith(options{files: []string{"-"}, check: true}, iotest.ErrReader(errors.New("broken")))
	xtest.WantCode(t, "a list that cannot be read", err, proto.IO)
}

func TestTee(t *testing.T) {
	t.Parallel()
	want := line(digest.Sum([]byte("data")), stdinName)
	out, errOut, err := runWith(options{tee: true}, strings.NewReader("data"))
	if err != nil || out != "data" || errOut != want {
		t.Errorf("got %q, %q, %v, want data and %q", out, errOut, err, want)
	}
	file := filepath.Join(t.TempDir(), "digest")
	out, errOut, err = runWith(options{tee: true, digestFile: file}, io.MultiReader(strings.NewReader("data"), iotest.ErrReader(syscall.EIO)))
	xtest.WantCode(t, "input that breaks", err, proto.IO)
	if _, serr := os.Stat(file); serr == nil || out != "data" || errOut != "" {
		t.Errorf("input that breaks: got %q, %q and a digest file, %v", out, errOut, serr)
	}
	if _, errOut, err = runWith(options{tee: true, digestFile: file}, strings.NewReader("data")); err != nil || errOut != "" {
		t.Errorf("got %q, %v", errOut, err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != want {
		t.Errorf("got %q, %v, want %q", text, err, want)
	}
	err = run(t.Context(), options{tee: true}, cmdline.Streams{In: strings.NewReader("data"), Out: brokenPipe{}, Err: io.Discard})
	xtest.WantCode(t, "output that is closed", err, proto.BrokenStdout)
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// A read of standard input cannot be interrupted, and does not keep the tool alive.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	in, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(proto.Errorf(proto.Terminated, "ended"))
	for _, o := range []options{{files: []string{"-"}}, {files: []string{"-"}, check: true}, {tee: true}} {
		err := run(ctx, o, cmdline.Streams{In: in, Out: io.Discard, Err: io.Discard})
		xtest.WantCode(t, "a context that has ended", err, proto.Terminated)
	}
}
