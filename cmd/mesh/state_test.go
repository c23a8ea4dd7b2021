//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
)

// stateWriters lists a tool for each file that tools write in one piece. A path begins
// in the folder of the test, where home is the state folder.
var stateWriters = []struct {
	file   string
	before string // tools that run first
	tool   string
	code   proto.Code // of the tool when the disk works
}{
	{"home/node.key", "", "mesh-token id", proto.OK},
	{"home/revoked_tokens", "", "mesh-token revoke 0011223344556677", proto.OK},
	{"home/revoked_tokens", "mesh-token revoke 1111223344556677", "mesh-token revoke 0011223344556677", proto.OK},
	{"home/authorized_peers", "", "mesh-token allow $BOB send", proto.OK},
	{"home/authorized_peers", "mesh-token allow $BOB send", "mesh-token allow $BOB none", proto.OK},
	{"home/known_peers", "", "mesh-token peer add bob $BOB", proto.OK},
	{"home/known_peers", "mesh-token peer add bob $BOB", "mesh-token peer forget bob", proto.OK},
	{"home/listener_addrs", "", "mesh-listen --listen 127.0.0.1:0 --deadline 100ms -- true", proto.Timeout},
	{"tok", "", "mesh-recv --listen 127.0.0.1:0 --deadline 100ms --token-file tok", proto.Timeout},
	{"sums", "", "mesh-sum --tee --digest-file sums", proto.OK},
}

// stateRun is a folder in which tools of a row of stateWriters run.
type stateRun struct{ dir string }

// newStateRun makes the folder, with a node key unless file is that.
func newStateRun(t *testing.T, file, before string) stateRun {
	t.Helper()
	r := stateRun{t.TempDir()}
	if filepath.Base(file) != "node.key" {
		before = "mesh-token id; " + before
	}
	if code, text := r.run(t, before); code != proto.OK {
		t.Fatalf("%s: ended with %v: %s", before, code, text)
	}
	return r
}

// run runs a line of the shell, and returns how it ended and its standard error.
func (r stateRun) run(t *testing.T, line string) (proto.Code, string) {
	t.Helper()
	bob := identity.ID{1}.String()
	p := begin(t, r.dir, func(c *exec.Cmd) { c.Env = append(c.Env, "BOB="+bob) }, "sh", "-c", line)
	return p.code(t), p.stderr.String()
}

// read returns the content of a file, nil if there is none.
func (r stateRun) read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, file))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return text
}

func ended(p *aTool) bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func needStrace(t *testing.T) {
	t.Helper()
	if err := exec.Command("strace", "-o", os.DevNull, "true").Run(); err != nil {
		t.Skipf("no strace, which lets system calls fail: %v", err)
	}
}

// TestStateDurable wants a change of a state file to be on the disk before the tool
// ends: the data before the name, and then the name.
func TestStateDurable(t *testing.T) {
	t.Parallel()
	needStrace(t)
	for _, w := range stateWriters {
		t.Run(w.tool, func(t *testing.T) {
			t.Parallel()
			r := newStateRun(t, w.file, w.before)
			old := r.read(t, w.file)
			code, text := r.run(t, "strace -f -y -qq -o trace -e trace=fsync,fdatasync,rename,renameat,renameat2,link,linkat,exit_group "+w.tool)
			if code != w.code {
				t.Fatalf("ended with %v, want %v: %s", code, w.code, text)
			}
			if got := r.read(t, w.file); got == nil || bytes.Equal(got, old) {
				t.Errorf("%s: got %q, as before", w.file, got)
			}
			if why := durable(string(r.read(t, "trace")), filepath.Join(r.dir, w.file)); why != "" {
				t.Errorf("%s in\n%s", why, r.read(t, "trace"))
			}
			info, err := os.Stat(filepath.Join(r.dir, w.file))
			if want := fs.FileMode(0o600); filepath.Base(w.file) != "sums" && (err != nil || info.Mode() != want) {
				t.Errorf("got %v (%v), want mode %v", info.Mode(), err, want)
			}
		})
	}
}

// durable says what a trace of system calls lacks between the writing of a file and
// the end of the process.
func durable(trace, file string) string {
	folder := filepath.Dir(file)
	dataSynced, named, nameSynced := false, false, false
	for line := range wholeCalls(trace) {
		switch {
		case strings.Contains(line, "fsync(") && strings.Contains(line, "<"+folder+"/") && strings.HasSuffix(line, " = 0\n"):
			dataSynced = true
		case (strings.Contains(line, "rename") || strings.Contains(line, "link")) && (strings.Contains(line, `"`+file+`"`) || strings.Contains(line, `"`+filepath.Base(file)+`"`)):
			if !dataSynced {
				return "the name comes before the data"
			}
			named = true
		case strings.Contains(line, "fsync(") && strings.Contains(line, "<"+folder+">") && named:
			nameSynced = true
		case strings.Contains(line, "exit_group("):
			if !nameSynced {
				return "the end comes before the name"
			}
			return ""
		}
	}
	return "no end"
}

// wholeCalls yields the lines of a trace. A call that strace writes in two lines, since
// another thread came between, is yielded whole where it returns.
func wholeCalls(trace string) iter.Seq[string] {
	return func(yield func(string) bool) {
		begun := map[string]string{} // by thread
		for line := range strings.Lines(trace) {
			thread, _, _ := strings.Cut(line, " ")
			if call, ok := strings.CutSuffix(line, " <unfinished ...>\n"); ok {
				begun[thread] = call
				continue
			}
			if _, rest, ok := strings.Cut(line, " resumed>"); ok {
				line = begun[thread] + rest
			}
			if !yield(line) {
				return
			}
		}
	}
}

// TestTraceInTwoLines wants a call that another thread interrupts to count where it
// returns.
func TestTraceInTwoLines(t *testing.T) {
	const (
		begun   = "7 fsync(8</d/.f.tmp> <unfinished ...>\n"
		resumed = "7 <... fsync resumed>)              = 0\n"
		failed  = "7 <... fsync resumed>)              = -1 EIO (Input/output error)\n"
		signal  = "7 --- SIGURG {si_signo=SIGURG} ---\n"
		named   = "8 renameat(AT_FDCWD</>, \"/d/.f.tmp\", AT_FDCWD</>, \"/d/f\") = 0\n"
		rest    = "8 fsync(8</d>) = 0\n9 exit_group(0) = ?\n"
	)
	for _, tt := range []struct{ name, trace, want string }{
		{"returned before the name", begun + signal + resumed + named + rest, ""},
		{"returned behind the name", begun + named + resumed + rest, "the name comes before the data"},
		{"failed", begun + failed + named + rest, "the name comes before the data"},
	} {
		if got := durable(tt.trace, "/d/f"); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestStateOnFailingDisk wants a tool that cannot sync to fail and to leave the old
// file, and no other one.
func TestStateOnFailingDisk(t *testing.T) {
	t.Parallel()
	needStrace(t)
	for _, w := range stateWriters {
		t.Run(w.tool, func(t *testing.T) {
			t.Parallel()
			for errno, want := range map[string]proto.Code{"EIO": proto.IO, "ENOSPC": proto.Space} {
				r := newStateRun(t, w.file, w.before)
				if strings.HasPrefix(w.file, "home/") {
					_ = os.Mkdir(filepath.Join(r.dir, "home"), 0o700)
				}
				old := r.read(t, w.file)
				code, text := r.run(t, "strace -f -qq -o trace -e trace=fsync,fdatasync -e inject=fsync,fdatasync:error="+errno+" "+w.tool)
				if filepath.Base(w.file) == "listener_addrs" { // a warning: only mesh-token new needs it
					want = w.code
					if !strings.Contains(text, ": warning: ") {
						t.Errorf("%s: got no warning: %s", errno, text)
					}
				}
				if code != want || !strings.Contains(text, ": error: ") {
					t.Errorf("%s: ended with %v, want %v: %s", errno, code, want, text)
				}
				if got := r.read(t, w.file); !bytes.Equal(got, old) {
					t.Errorf("%s: got %q, want %q", errno, got, old)
				}
				if left, _ := filepath.Glob(filepath.Join(r.dir, "home", ".*.tmp")); len(left) > 0 {
					t.Errorf("%s: left %q behind", errno, left)
				}
			}
		})
	}
}

// TestClaimDurable wants the claim of a token for one node to be on the disk before
// the node is admitted, and the node to be turned away if that fails.
func TestClaimDurable(t *testing.T) {
	t.Parallel()
	needStrace(t)
	for _, inject := range []string{"", "-P $PWD/home/.claimed_tokens.tmp -e inject=fsync:error=EIO"} {
		r := newStateRun(t, token.ClaimedFile, "mesh-token new --addr 127.0.0.1:9 --allow send,recv >one")
		// With -D the listener is the child of the test, and strace is not.
		listen := begin(t, r.dir, nil, "sh", "-c", "exec strace -D -f -y -qq -o trace -e trace=fsync,renameat,rename,renameat2 "+inject+
			" mesh-listen --listen 127.0.0.1:0 --events ev -v -- cat")
		poll(t, "an address", func() bool { return bytes.Contains(r.read(t, "ev"), []byte("\n")) || ended(listen) })
		code, text := r.run(t, `addr=$(sed -n 's/.*"addr":"\([^"]*\)".*/\1/p' ev); mesh-token new --addr "$addr" --allow send,recv >one; `+
			`echo x | MESH_HOME=other mesh-cat @one`)
		_ = listen.Process.Kill()
		<-listen.ended
		claimed := string(r.read(t, "home/"+token.ClaimedFile))
		if inject != "" {
			if code != proto.Busy || claimed != "" {
				t.Errorf("on a failing disk: ended with %v, want %v, claimed %q: %s", code, proto.Busy, claimed, text)
			}
			continue
		}
		calls := string(r.read(t, "trace")) + "exit_group("
		if why := durable(calls, filepath.Join(r.dir, "home", token.ClaimedFile)); code != proto.OK || claimed == "" || why != "" {
			t.Errorf("ended with %v: %s, claimed %q: %s in\n%s", code, text, claimed, why, calls)
		}
	}
}

// TestStateOfOthers wants the tools to refuse each file in the state folder that
// another user may write or replace, and to leave it as it is.
func TestStateOfOthers(t *testing.T) {
	t.Parallel()
	const stranger = 4711
	holes := map[string]func(path, dir string) error{
		"group-writable":      func(path, _ string) error { return os.Chmod(path, 0o660) },
		"world-writable":      func(path, _ string) error { return os.Chmod(path, 0o606) },
		"in an open folder":   func(_, dir string) error { return os.Chmod(dir, 0o777) },
		"of another user":     func(path, _ string) error { return os.Chown(path, stranger, stranger) },
		"in another's folder": func(_, dir string) error { return os.Chown(dir, stranger, stranger) },
	}
	for _, name := range []string{"authorized_peers", "known_peers", "revoked_tokens", "claimed_tokens", "listener_addrs", "node.key", "config.toml"} {
		for what, hole := range holes {
			for _, linked := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s linked=%v", name, what, linked), func(t *testing.T) {
					t.Parallel()
					if os.Geteuid() != 0 && strings.Contains(what, "another") {
						t.Skip("only root can give a file away")
					}
					r := newStateRun(t, name, "mesh-token id")
					path := filepath.Join(r.dir, "home", name)
					if name != "node.key" {
						if err := os.WriteFile(path, []byte("# text\n"), 0o600); err != nil {
							t.Fatal(err)
						}
					}
					at := path
					if linked { // the file is elsewhere
						at = filepath.Join(r.dir, "elsewhere", name)
						if err := errors.Join(os.Mkdir(filepath.Dir(at), 0o755), os.Rename(path, at), os.Symlink(at, path)); err != nil {
							t.Fatal(err)
						}
					}
					old := r.read(t, filepath.Join("home", name))
					if err := hole(at, filepath.Dir(at)); err != nil {
						t.Fatal(err)
					}
					lines := []string{
						"mesh-listen --listen 127.0.0.1:0 --deadline 20s -- true", "echo x | mesh-cat bob",
						"mesh-token allowed", "mesh-token revoke 0011223344556677", "mesh-token allow " + identity.ID{1}.String() + " send",
					}
					switch name {
					case "config.toml": // mesh-token has no settings
						lines = lines[:1]
					case "listener_addrs":
						lines = []string{"mesh-token new"}
					}
					for _, line := range lines {
						code, text := r.run(t, line)
						if code != proto.Config || !strings.Contains(text, r.dir) {
							t.Errorf("%s: ended with %v, want %v and the path: %s", line, code, proto.Config, text)
						}
					}
					if got := r.read(t, filepath.Join("home", name)); !bytes.Equal(got, old) {
						t.Errorf("got %q, want %q", got, old)
					}
				})
			}
		}
	}
}
