package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/identity"
)

// readOnly runs a command with a read-only state folder: in a mount namespace of its own
// for root, for whom modes mean nothing.
const readOnly = `if [ "$(id -u)" = 0 ]; then
  exec unshare -m sh -c 'mount --bind home home && mount -o remount,bind,ro home && exec "$@"' sh "$@"
fi
exec "$@"`

// newReadOnlyRun makes a folder with a state folder that has a key, a peer bob and a
// token, and what the other end uses.
func newReadOnlyRun(t *testing.T) stateRun {
	t.Helper()
	r := newStateRun(t, "", "mesh-token peer add bob $BOB; mesh-token allow $BOB recv; mesh-token new --addr 127.0.0.1:1 --uses 0 >token; mkdir in; echo data >f")
	home := filepath.Join(r.dir, "home")
	if os.Geteuid() != 0 {
		if out, err := exec.Command("chmod", "-R", "a-w", home).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		t.Cleanup(func() { _ = exec.Command("chmod", "-R", "u+w", home).Run() })
	}
	if out, err := r.command("sh", "-c", "! touch home/x").CombinedOutput(); err != nil {
		t.Skipf("no read-only folder to be had: %v: %s", err, out)
	}
	return r
}

func (r stateRun) command(words ...string) *exec.Cmd {
	c := exec.Command("sh", append([]string{"-c", readOnly, "sh"}, words...)...)
	c.Dir = r.dir
	return c
}

// begin starts a tool with the read-only state folder.
func (r stateRun) begin(t *testing.T, line string) *aTool {
	t.Helper()
	return begin(t, r.dir, nil, "sh", append([]string{"-c", readOnly, "sh"}, strings.Fields(line)...)...)
}

// other runs the tool of the other end, with a state folder of its own.
func (r stateRun) other(t *testing.T, line string) *aTool {
	t.Helper()
	return begin(t, r.dir, func(c *exec.Cmd) {
		c.Env = append(c.Env, "MESH_HOME="+filepath.Join(r.dir, "other"))
	}, "sh", "-c", line)
}

// TestReadOnlyState runs each tool on a read-only state folder. What only another tool
// needs is a warning, and the work is done.
func TestReadOnlyState(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		tool   string
		other  string // at the other end, which waits if it begins with "wait"
		warned string // in the only warning; "" for none
		code   proto.Code
	}{
		{"mesh-recv WAIT -o out", "mesh-cat @tok f", "", proto.OK},
		{"mesh-recv WAIT", "echo data | mesh-cat @tok", "", proto.OK},
		{"mesh-listen WAIT f", "mesh-recv -o out @tok", "", proto.OK},
		{"mesh-listen WAIT --once -- echo data", "mesh-recv -o out @tok", "", proto.OK},
		{"mesh-listen WAIT --deadline 2s --serve f", "mesh-recv -o out @tok", "listener_addrs", proto.Timeout},
		{"mesh-tty --share --headless WAIT -- sleep 1", "mesh-tty --plain @tok", "mesh-tty ctl cannot control this session", proto.OK},
		{"mesh-cat @tok f", "wait mesh-recv WAIT -o out", "", proto.OK},
		{"mesh-recv -o out @tok", "wait mesh-listen WAIT f", "", proto.OK},
		{"mesh-tty --plain @tok", "wait mesh-tty --share --headless WAIT -- sleep 1", "", proto.OK},
		{"mesh-recv --dry-run @tok", "wait mesh-listen WAIT --deadline 2s f", "", proto.OK},
		{"mesh-token id", "", "", proto.OK},
		{"mesh-token new --addr 127.0.0.1:1", "", "", proto.OK},
		{"mesh-token show @token", "", "", proto.OK},
		{"mesh-token allowed", "", "", proto.OK},
		{"mesh-token peer list", "", "", proto.OK},
		{"mesh-cat --dry-run bob f", "", "", proto.OK},
		{"mesh", "", "", proto.OK},
		{"mesh-token allow bob none", "", "", proto.Config},
		{"mesh-token revoke @token", "", "", proto.Config},
		{"mesh-token peer forget bob", "", "", proto.Config},
	} {
		t.Run(strings.ReplaceAll(tt.tool, "/", "_"), func(t *testing.T) {
			t.Parallel()
			r := newReadOnlyRun(t)
			wait := strings.NewReplacer("WAIT", "--listen 127.0.0.1:0 --token-file tok")
			var tool, other *aTool
			if waiting, found := strings.CutPrefix(tt.other, "wait "); found {
				other = r.other(t, wait.Replace(waiting))
				await(t, filepath.Join(r.dir, "tok"))
			}
			tool = r.begin(t, wait.Replace(tt.tool))
			if tt.other != "" && other == nil {
				await(t, filepath.Join(r.dir, "tok"))
				other = r.other(t, tt.other)
			}
			if other != nil && !strings.Contains(tt.other, "--deadline") {
				if code := other.code(t); code != proto.OK {
					t.Errorf("the other end ended with %v: %s", code, other.stderr.String())
				}
			}
			if code := tool.code(t); code != tt.code {
				t.Errorf("ended with %v, want %v", code, tt.code)
			}
			warnings := 0
			for line := range strings.Lines(tool.stderr.String()) {
				switch {
				case strings.Contains(line, " level=INFO ") && strings.Contains(line, " event="): // of a daemon
				case strings.Contains(line, " level=WARN ") && strings.Contains(line, "mesh status cannot see this"): // of a daemon
				case tt.code != proto.OK && strings.Contains(line, ": error: "):
				case tt.warned != "" && strings.Contains(line, ": warning: ") && strings.Contains(line, tt.warned):
					warnings++
				case !strings.Contains(line, "what was stored is not noted"):
					t.Errorf("got %q", line)
				}
			}
			if (warnings == 1) != (tt.warned != "") {
				t.Errorf("got %d warnings of %q: %s", warnings, tt.warned, tool.stderr.String())
			}
		})
	}
}

// TestReadOnlyInbox stores deliveries on a read-only state folder. With --by-peer, one
// fails while the address book, which may name its folder, cannot be read.
func TestReadOnlyInbox(t *testing.T) {
	t.Parallel()
	r := newReadOnlyRun(t)
	inbox := r.begin(t, "mesh-listen --inbox in --by-peer --deadline 3s --listen 127.0.0.1:0 --token-file tok")
	await(t, filepath.Join(r.dir, "tok"))
	other := r.other(t, "mesh-cat @tok f")
	if code := other.code(t); code != proto.OK {
		t.Errorf("the sender ended with %v: %s", code, other.stderr.String())
	}
	if code := inbox.code(t); code != proto.Timeout {
		t.Errorf("the inbox ended with %v: %s", code, inbox.stderr.String())
	}
	for _, want := range []string{"listener_addrs", "mesh-recv --next cannot take deliveries"} {
		if got := inbox.stderr.String(); strings.Count(got, want) != 1 || strings.Count(got, ": error: ") > 1 {
			t.Errorf("got %q, want %q in one warning", got, want)
		}
	}
	if got, _ := filepath.Glob(filepath.Join(r.dir, "in", "mk1*", "f")); len(got) != 1 {
		t.Errorf("got %v, want one file in a folder by id", got)
	}
}

// A delivery by name fails with 40 while known_peers cannot be read, and goes to its
// folder once that is mended.
func TestByPeerWithoutBook(t *testing.T) {
	t.Parallel()
	r := newStateRun(t, "", "mkdir in; echo data >f; MESH_HOME=other mesh-token id >id; mesh-token peer add bob $(cat id)")
	book := filepath.Join(r.dir, "home", identity.KnownPeersFile)
	right := r.read(t, "home/"+identity.KnownPeersFile)
	inbox := begin(t, r.dir, nil, "mesh-listen", "--inbox", "in", "--by-peer", "--listen", "127.0.0.1:0", "--token-file", "tok")
	await(t, filepath.Join(r.dir, "tok"))
	for _, tt := range []struct {
		book string
		want proto.Code
	}{{"no line of a book\n", proto.IO}, {string(right), proto.OK}} {
		if err := os.WriteFile(book, []byte(tt.book), 0o600); err != nil {
			t.Fatal(err)
		}
		send := r.other(t, "mesh-cat @tok f")
		if code := send.code(t); code != tt.want {
			t.Errorf("%q: the sender ended with %v, want %v: %s", tt.book, code, tt.want, send.stderr.String())
		}
	}
	if got, _ := os.ReadDir(filepath.Join(r.dir, "in")); len(got) != 1 || got[0].Name() != "bob" {
		t.Errorf("got %v, want bob alone", got)
	}
	_ = inbox.Process.Kill()
	<-inbox.ended
	if got := inbox.stderr.String(); !strings.Contains(got, identity.KnownPeersFile) {
		t.Errorf("got %q of the listener, want the file named", got)
	}
}
