package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mesh/proto"
)

// stdoutWriters are the ways in which a tool writes received data to its standard
// output. The other end sends the file "large" of the folder.
var stdoutWriters = []stdoutWriter{
	{"recv", "mesh-recv --listen 127.0.0.1:0 --token-file tok", "mesh-cat @tok <large"},
	{"recv --archive tar", "mesh-recv --archive tar --listen 127.0.0.1:0 --token-file tok", "mesh-cat @tok large"},
	{"recv --archive zip", "mesh-recv --archive zip --listen 127.0.0.1:0 --token-file tok", "mesh-cat @tok large"},
	{"recv PEER", "mesh-recv @tok", "mesh-listen --listen 127.0.0.1:0 --token-file tok <large"},
	{"cat PEER", "mesh-cat @tok </dev/null", "mesh-listen --listen 127.0.0.1:0 --token-file tok <large"},
	{"cat PEER -- CMD", "mesh-cat @tok -- true", "mesh-listen --listen 127.0.0.1:0 --token-file tok <large"},
	{"listen", "mesh-listen --listen 127.0.0.1:0 --token-file tok </dev/null", "mesh-cat @tok <large"},
	{"recv --next", "mesh-recv --next --wait 30s --events next", "mesh-cat @tok <large"},
}

type stdoutWriter struct{ name, writer, sender string }

// run starts both ends in a folder. The command line of the writer goes through wrap,
// which says where its standard output goes.
func (r stdoutWriter) run(t *testing.T, dir string, wrap func(string) string) (writer, sender *aTool) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "large"), bytes.Repeat([]byte("large\n"), 1_000_000), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(home, line string) *aTool {
		return begin(t, dir, func(c *exec.Cmd) { c.Env = append(c.Env, "MESH_HOME="+filepath.Join(dir, home)) }, "sh", "-c", line)
	}
	for _, home := range []string{"home", "other"} { // the keys are made durable too
		if code := run(home, "exec mesh-token id").code(t); code != proto.OK {
			t.Fatalf("mesh-token ended with %v", code)
		}
	}
	tok := filepath.Join(dir, "tok")
	switch {
	case strings.Contains(r.writer, "--next"):
		if err := os.Mkdir(filepath.Join(dir, "inbox"), 0o755); err != nil {
			t.Fatal(err)
		}
		run("home", "exec mesh-listen --inbox inbox --listen 127.0.0.1:0 --token-file tok")
		await(t, tok)
		writer = run("home", wrap(r.writer))
		await(t, filepath.Join(dir, "next"))
		return writer, run("other", "exec "+r.sender)
	case strings.Contains(r.writer, "--token-file"):
		writer = run("home", wrap(r.writer))
		await(t, tok)
		return writer, run("other", "exec "+r.sender)
	}
	sender = run("other", "exec "+r.sender)
	await(t, tok)
	return run("home", wrap(r.writer)), sender
}

// TestStdoutSync gets the error of a disk only when the file behind standard output is
// synced. No end may say that all is well.
func TestStdoutSync(t *testing.T) {
	t.Parallel()
	needStrace(t)
	for _, r := range stdoutWriters {
		for errno, want := range map[string]proto.Code{"ENOSPC": proto.Space, "EDQUOT": proto.Space, "EIO": proto.IO, "EINVAL": proto.OK} {
			t.Run(r.name+" "+errno, func(t *testing.T) {
				t.Parallel()
				dir, err := os.MkdirTemp("", "sync") // t.TempDir may be too long for the socket of an inbox
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { os.RemoveAll(dir) })
				writer, sender := r.run(t, dir, func(line string) string {
					out := filepath.Join(dir, "out")
					return fmt.Sprintf("exec strace -f -o trace -P %s -e trace=fsync -e inject=fsync:error=%s %s >out", out, errno, line)
				})
				for _, p := range []*aTool{writer, sender} {
					if code := p.code(t); code != want {
						t.Errorf("%v ended with %v, want %v: %s", p.Args, code, want, p.stderr.String())
					}
				}
			})
		}
	}
}

// TestStdoutPipe wants one sync of a file, and none of anything else.
func TestStdoutPipe(t *testing.T) {
	t.Parallel()
	needStrace(t)
	for to, want := range map[string]int{">out": 1, "| cat >out": 0, ">/dev/null": 0} {
		dir := t.TempDir()
		writer, sender := stdoutWriters[0].run(t, dir, func(line string) string {
			return fmt.Sprintf("strace -f -y -o trace -e trace=fsync %s %s", line, to)
		})
		for _, p := range []*aTool{writer, sender} {
			if code := p.code(t); code != proto.OK {
				t.Errorf("%v ended with %v: %s", p.Args, code, p.stderr.String())
			}
		}
		trace, err := os.ReadFile(filepath.Join(dir, "trace"))
		if got := bytes.Count(trace, []byte("fsync(1<")); err != nil || got != want {
			t.Errorf("%s: got %d syncs of standard output, want %d: %s", to, got, want, trace)
		}
	}
}

// TestFullBehindFile writes to an ext4 that is larger than the disk under it. The kernel
// accepts all, and finds out only when it writes to the disk.
func TestFullBehindFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const mount = "mkdir small in && mount -t tmpfs -o size=4m tmpfs small && truncate -s 64M small/disk && mkfs.ext4 -q small/disk && mount -o loop small/disk in"
	if p := begin(t, t.TempDir(), nil, "unshare", "-m", "sh", "-c", mount+" && umount in"); p.code(t) != proto.OK {
		t.Skipf("no such disk can be made: %s", p.stderr.String())
	}
	writer, sender := stdoutWriters[0].run(t, dir, func(line string) string {
		return "exec unshare -m sh -c '" + mount + " || exit 99; " + line + " >in/out; code=$?; umount in; exit $code'"
	})
	for _, p := range []*aTool{writer, sender} {
		if code := p.code(t); code != proto.IO && code != proto.Space {
			t.Errorf("%v ended with %v, want %v or %v: %s", p.Args, code, proto.IO, proto.Space, p.stderr.String())
		}
	}
}
