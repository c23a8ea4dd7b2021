//go:build unix

package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mesh/proto"
)

// aHub is a mesh-hub serve with its state folder in dir.
type aHub struct {
	*aTool
	dir  string
	line string // what other machines run
}

// beginHub starts a hub at a free port of loopback and waits until it serves.
func beginHub(t *testing.T, dir string, prepare func(*exec.Cmd), args ...string) *aHub {
	t.Helper()
	return beginServer(t, dir, prepare, `^mesh-hub join wss://\S+#mk1[a-z2-7]+(,proxy)?\n$`, "serve", args...)
}

// beginRelay is beginHub for mesh-hub relay. The line is what the hub is run with.
func beginRelay(t *testing.T, dir string, args ...string) *aHub {
	t.Helper()
	return beginServer(t, dir, nil, `^mesh-hub serve --relay wss://\S+\n$`, "relay", args...)
}

func beginServer(t *testing.T, dir string, prepare func(*exec.Cmd), want, command string, args ...string) *aHub {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if !slices.Contains(args, "--listen") {
		args = append(args, "--listen", "127.0.0.1:0")
	}
	h := &aHub{dir: dir}
	h.aTool = begin(t, dir, func(c *exec.Cmd) {
		c.Stdout = w
		if prepare != nil {
			prepare(c)
		}
	}, "mesh-hub", append([]string{command}, args...)...)
	_ = w.Close()
	line := make([]byte, 300)
	n, _ := r.Read(line)
	h.line = string(line[:n])
	if !regexp.MustCompile(want).MatchString(h.line) {
		h.code(t)
		t.Fatalf("got the line %q, and %s", h.line, h.stderr.Bytes())
	}
	return h
}

// admin runs a command for the hub, and returns its standard output.
func (h *aHub) admin(t *testing.T, want proto.Code, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	p := begin(t, h.dir, func(c *exec.Cmd) { c.Stdout = &out }, "mesh-hub", args...)
	if code := p.code(t); code != want {
		t.Errorf("mesh-hub %v ended with %v, want %v: %s", args, code, want, p.stderr.Bytes())
	}
	return out.String()
}

// stop ends the hub by SIGTERM.
func (h *aHub) stop(t *testing.T) {
	t.Helper()
	_ = h.Process.Signal(syscall.SIGTERM)
	if code := h.code(t); code != proto.Terminated {
		t.Errorf("mesh-hub ended with %v: %s", code, h.stderr.Bytes())
	}
}

// TestHubUnits checks the units with systemd, and their command lines with mesh-hub.
func TestHubUnits(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]string{"mesh-hub.service": "serve", "mesh-relay.service": "relay"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join(services, name))
			if err != nil {
				t.Fatal(err)
			}
			start := regexp.MustCompile(`(?m)^ExecStart=\S+/mesh-hub ` + command + `\b(.*)$`)
			line := start.FindSubmatch(text)
			if line == nil {
				t.Fatalf("the unit starts no mesh-hub %s", command)
			}
			if reloads := strings.Contains(string(text), "\nExecReload=sh -c 'kill -HUP $MAINPID'\n"); reloads != (command == "serve") {
				t.Errorf("reload by the shell's own kill: got %v; a relay has nothing to reload, and SIGHUP ends it", reloads)
			}
			args := strings.Fields(string(line[1]))
			if command == "serve" {
				beginHub(t, t.TempDir(), nil, args...).stop(t)
			} else {
				args[slices.Index(args, "${HUB}")] = "wss://hub.example#" + nodeID(t, t.TempDir())
				beginRelay(t, t.TempDir(), args...).stop(t)
			}
			wantUnit(t, name, start.ReplaceAllString(string(text), "ExecStart=%s "+command+"$1"))
		})
	}
}

// wantUnit checks a unit of mesh-hub with systemd. Its text has %s for the program.
func wantUnit(t *testing.T, name, text string) {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("no systemd-analyze here")
	}
	here, err := exec.LookPath("mesh-hub")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	unit := filepath.Join(dir, name)
	if err := os.WriteFile(unit, []byte(strings.Replace(text, "%s", here, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", unit)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
	// The exposure is 0 to 100, of which systemd calls less than 50 OK.
	cmd = exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=yes", "--threshold=20", unit)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir)
	if out, err := cmd.CombinedOutput(); err != nil && !bytes.Contains(out, []byte("unrecognized option")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestHubNotify runs a hub as systemd would. It reports when it is ready, that it is
// alive, when it reads hub_access again, and when it stops.
func TestHubNotify(t *testing.T) {
	t.Parallel()
	at, err := os.MkdirTemp("", "hub") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(at) })
	socket := filepath.Join(at, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	n := notified{t, make(chan string, 10000)}
	go n.listen(conn)
	h := beginHub(t, at, func(c *exec.Cmd) {
		c.Env = append(c.Env, "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=50000")
	})
	n.wait("READY=1")
	n.wait("WATCHDOG=1")
	n.wait("WATCHDOG=1")
	_ = h.Process.Signal(syscall.SIGHUP)
	n.wait("RELOADING=1\nMONOTONIC_USEC=")
	n.wait("READY=1")
	_ = h.Process.Signal(syscall.SIGTERM)
	n.wait("STOPPING=1")
	if code := h.code(t); code != proto.Terminated {
		t.Errorf("mesh-hub ended with %v: %s", code, h.stderr.Bytes())
	}
}

// A hub that is killed has lost nothing that a command of its admin has reported, and the
// next one starts in the same folder.
func TestHubKilled(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "hub")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	var line string
	for round := range 4 {
		h := beginHub(t, dir, nil)
		if round == 0 {
			line = h.line[strings.Index(h.line, "#"):]
		} else if got := h.line[strings.Index(h.line, "#"):]; got != line {
			t.Fatalf("round %d: another key", round)
		}
		if got := strings.Count(h.admin(t, proto.OK, "log"), "\n"); got != 2*round {
			t.Errorf("round %d: got %d lines of the log, want %d", round, got, 2*round)
		}
		h.admin(t, proto.OK, "invite")
		h.admin(t, proto.OK, "ban", "add", "203.0.113."+string(rune('0'+round)))
		_ = h.Process.Kill()
		<-h.ended
		h.admin(t, proto.Unreachable, "log")
	}
	h := beginHub(t, dir, nil)
	if got := strings.Count(h.admin(t, proto.OK, "ban", "list"), "\n"); got != 4 {
		t.Errorf("got %d bans, want 4", got)
	}
	h.stop(t)
}

// A damaged hub.db stays as it is. The command in the hint goes on with the last export.
func TestHubDamaged(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func([]byte) []byte{
		"flipped bytes": func(text []byte) []byte {
			ban := []byte("203.0.113.0")
			at := bytes.LastIndex(text, ban) // in the newest copy of the page, which may be free
			for i := bytes.Index(text, ban); i <= at; i++ {
				if bytes.HasPrefix(text[i:], ban) {
					text[i] = '1'
				}
			}
			return text
		},
		"torn":           func(text []byte) []byte { return text[:len(text)/3] },
		"empty pages":    func(text []byte) []byte { clear(text[:2*os.Getpagesize()]); return text },
		"another file":   func([]byte) []byte { return bytes.Repeat([]byte("not a hub's\n"), 5000) },
		"almost no file": func([]byte) []byte { return []byte{0} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testDamaged(t, damage)
		})
	}
}

func testDamaged(t *testing.T, damage func([]byte) []byte) {
	dir, err := os.MkdirTemp("", "hub")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := beginHub(t, dir, nil)
	line := h.line[strings.Index(h.line, "#"):]
	h.admin(t, proto.OK, "ban", "add", "203.0.113.0/24")
	h.stop(t)
	db := filepath.Join(dir, "home", "hub.db")
	text, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	text = damage(text)
	if err := os.WriteFile(db, text, 0o600); err != nil {
		t.Fatal(err)
	}
	p := begin(t, dir, nil, "mesh-hub", "serve", "--listen", "127.0.0.1:0")
	if code := p.code(t); code != proto.Config || !strings.Contains(p.stderr.String(), db) {
		t.Fatalf("a damaged file: ended with %v, want %v: %s", code, proto.Config, p.stderr.Bytes())
	}
	if now, err := os.ReadFile(db); err != nil || !bytes.Equal(now, text) {
		t.Errorf("the damaged file was changed (%v)", err)
	}
	_, command, ok := strings.Cut(p.stderr.String(), "run: ")
	if !ok {
		t.Fatalf("no command to restore: %s", p.stderr.Bytes())
	}
	restore := begin(t, dir, nil, "sh", "-c", command)
	if code := restore.code(t); code != proto.OK {
		t.Fatalf("%s ended with %v: %s", command, code, restore.stderr.Bytes())
	}
	h = beginHub(t, dir, nil)
	if got := h.admin(t, proto.OK, "ban", "list"); !strings.HasPrefix(got, "203.0.113.0/24\t") {
		t.Errorf("after the restore: got bans %q", got)
	}
	if got := h.line[strings.Index(h.line, "#"):]; got != line {
		t.Errorf("after the restore: another key")
	}
	h.stop(t)
	if now, err := os.ReadFile(db + ".damaged"); err != nil || !bytes.Equal(now, text) {
		t.Errorf("the damaged file was changed (%v)", err)
	}
}

// A hub that is told to end sends its nodes away within --drain. They come back to the
// next one at the same address, and are found there by name.
func TestHubDrain(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "hub")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := beginHub(t, dir, nil, "--drain", "1s")
	url := strings.TrimSpace(strings.TrimPrefix(h.line, "mesh-hub join "))
	node := func(name string) string {
		at := filepath.Join(dir, name)
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatal(err)
		}
		invite := strings.TrimSpace(h.admin(t, proto.OK, "invite", name))
		if p := begin(t, at, nil, "mesh-hub", "join", invite); p.code(t) != proto.OK {
			t.Fatalf("join: %s", p.stderr.Bytes())
		}
		return at
	}
	bob, alice := node("bob"), node("alice")
	box := begin(t, bob, nil, "mesh-listen", "--listen", "127.0.0.1:0", "--as", "bob", "--", "cat")
	online := func() bool { return strings.Contains(h.admin(t, proto.OK, "name", "list"), "\tonline\t") }
	poll(t, "bob is online", online)
	_ = h.Process.Signal(syscall.SIGTERM)
	if code := h.code(t); code != proto.Terminated {
		t.Fatalf("mesh-hub ended with %v: %s", code, h.stderr.Bytes())
	}
	port := regexp.MustCompile(`:(\d+)#`).FindStringSubmatch(url)[1]
	h = beginHub(t, dir, nil, "--listen", "127.0.0.1:"+port)
	poll(t, "bob is online again", online)
	allowed := begin(t, bob, nil, "mesh-token", "allow", nodeID(t, alice), "send,recv")
	if code := allowed.code(t); code != proto.OK {
		t.Fatalf("allow: %s", allowed.stderr.Bytes())
	}
	var out bytes.Buffer
	cat := begin(t, alice, func(c *exec.Cmd) {
		c.Stdin, c.Stdout = strings.NewReader("through the hub"), &out
	}, "mesh-cat", "--trust", "hub", "bob")
	if code := cat.code(t); code != proto.OK || out.String() != "through the hub" {
		t.Errorf("mesh-cat ended with %v, %q: %s", code, out.String(), cat.stderr.Bytes())
	}
	_ = box.Process.Signal(syscall.SIGTERM)
	box.code(t)
	h.stop(t)
}

func nodeID(t *testing.T, dir string) string {
	t.Helper()
	var out bytes.Buffer
	if p := begin(t, dir, func(c *exec.Cmd) { c.Stdout = &out }, "mesh-token", "id"); p.code(t) != proto.OK {
		t.Fatalf("mesh-token id: %s", p.stderr.Bytes())
	}
	return strings.TrimSpace(out.String())
}
