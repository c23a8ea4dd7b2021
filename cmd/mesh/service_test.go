//go:build unix

package main

import (
	"encoding/xml"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mesh/proto"
)

const services = "../../scripts/service"

var execStart = regexp.MustCompile(`(?m)^ExecStart=(\S+)/(mesh-listen)\b(.*)$`)

// TestUnits checks the units with systemd, and their command lines with mesh-listen.
func TestUnits(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"mesh-inbox.service": nil, "user/mesh-inbox.service": {"--user"}} {
		text, err := os.ReadFile(filepath.Join(services, name))
		if err != nil {
			t.Fatal(err)
		}
		line := execStart.FindSubmatch(text)
		if line == nil {
			t.Fatalf("%s starts no mesh-listen", name)
		}
		if !strings.Contains(string(text), "\nExecReload=sh -c 'kill -HUP $MAINPID'\n") {
			t.Errorf("%s: want a reload by the shell's own kill: a program may be missing", name)
		}
		here, err := exec.LookPath(string(line[2]))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		wantStarts(t, name, dir, strings.Fields(string(line[3])))
		if _, err := exec.LookPath("systemd-analyze"); err != nil {
			t.Logf("%s: no systemd-analyze here", name)
			continue
		}
		unit := filepath.Join(dir, "mesh-inbox.service")
		text = execStart.ReplaceAll(text, []byte("ExecStart="+here+"$3"))
		if err := os.WriteFile(unit, text, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "systemd-analyze", append(args, "verify", "--man=no", unit)...)
		cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// TestJobUnits checks the units of a job with systemd, and that they run a job.
func TestJobUnits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"mesh-job@.service", "mesh-job@.timer"} {
		text, err := os.ReadFile(filepath.Join(services, name))
		if err != nil {
			t.Fatal(err)
		}
		line := regexp.MustCompile(`(?m)^ExecStart=\S+/mesh-cat --job %i \$MESH_ARGS$`)
		if strings.HasSuffix(name, ".service") && !line.Match(text) {
			t.Errorf("%s does not run mesh-cat as a job", name)
		}
		text = line.ReplaceAll(text, []byte("ExecStart=true --job %i $$MESH_ARGS"))
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("no systemd-analyze here")
	}
	cmd := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", filepath.Join(dir, "mesh-job@.service"), filepath.Join(dir, "mesh-job@.timer"))
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// wantStarts runs mesh-listen for a moment with the arguments of a unit, but with an
// inbox of its own. The only error must be that no peer came.
func wantStarts(t *testing.T, name, dir string, args []string) {
	t.Helper()
	for i := range args {
		switch {
		case i > 0 && args[i-1] == "--inbox":
			args[i] = dir
		case args[i] == ":4600":
			args[i] = "127.0.0.1:0"
		}
	}
	p := begin(t, dir, nil, "mesh-listen", append(args, "--wait", "1ms")...)
	if code := p.code(t); code != proto.Unreachable {
		t.Errorf("%s: mesh-listen ended with %v: %s", name, code, p.stderr.Bytes())
	}
}

// notified is a service manager that receives the messages of a tool.
type notified struct {
	t     *testing.T
	heard chan string // sent and closed by listen
}

// listen receives messages until the socket is closed.
func (n notified) listen(conn *net.UnixConn) {
	defer close(n.heard)
	buf := make([]byte, 256)
	for {
		got, err := conn.Read(buf)
		if err != nil {
			return
		}
		select {
		case n.heard <- string(buf[:got]):
		default: // more signs of life than anybody waits for
		}
	}
}

// wait waits for a message with this prefix.
func (n notified) wait(want string) {
	n.t.Helper()
	limit := time.After(waitLimit)
	for {
		select {
		case got := <-n.heard:
			if strings.HasPrefix(got, want) {
				return
			}
		case <-limit:
			n.t.Fatalf("no %s in %v", want, waitLimit)
		}
	}
}

// TestNotify runs an inbox as systemd would. It reports when it is ready, that it is
// alive, when it reloads its settings and when it stops. Its command cannot report for
// it.
func TestNotify(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at, err := os.MkdirTemp("", "mesh") // t.TempDir is too long for a socket
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
	var out strings.Builder
	box := begin(t, dir, func(c *exec.Cmd) {
		c.Env = append(c.Env, "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=50000")
		c.Stdout = &out
	}, "mesh-listen", "--listen", "127.0.0.1:0", "--token-file", "tok", "--inbox", dir, "--on-receive", "env; rm $MESH_FILE")
	n.wait("READY=1")
	n.wait("WATCHDOG=1")
	n.wait("WATCHDOG=1")
	if err := os.WriteFile(filepath.Join(at, "file"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	cat := begin(t, dir, nil, "mesh-cat", "@tok", filepath.Join(at, "file"))
	if code := cat.code(t); code != proto.OK {
		t.Errorf("mesh-cat ended with %v: %s", code, cat.stderr.Bytes())
	}
	_ = box.Process.Signal(syscall.SIGHUP)
	n.wait("RELOADING=1\nMONOTONIC_USEC=")
	n.wait("READY=1")
	_ = box.Process.Signal(syscall.SIGTERM)
	n.wait("STOPPING=1")
	if code := box.code(t); code != proto.Terminated {
		t.Errorf("mesh-listen ended with %v: %s", code, box.stderr.Bytes())
	}
	if env := out.String(); !strings.Contains(env, "MESH_FILE=") || strings.Contains(env, "NOTIFY_SOCKET") || strings.Contains(env, "WATCHDOG") {
		t.Errorf("the command got %s", env)
	}
}

// TestPlist checks the XML of launchd's file: a dict has keys and values.
func TestPlist(t *testing.T) {
	t.Parallel()
	f, err := os.Open(filepath.Join(services, "mesh-inbox.plist"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var keys, values []string
	depth, want := 0, "key"
	for d := xml.NewDecoder(f); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if depth++; depth == 3 { // plist, dict, and what is in it
				if (e.Name.Local == "key") != (want == "key") {
					t.Errorf("<%s> where a %s was to come", e.Name.Local, want)
				}
				if want = "value"; e.Name.Local != "key" {
					want = "key"
				}
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			if text := strings.TrimSpace(string(e)); text != "" && depth == 3 && want == "value" {
				keys = append(keys, text)
			} else if text != "" {
				values = append(values, text)
			}
		}
	}
	if depth != 0 || want != "key" {
		t.Errorf("it ends at depth %d, and a %s is missing", depth, want)
	}
	for _, key := range []string{"Label", "ProgramArguments", "RunAtLoad", "KeepAlive"} {
		if !slices.Contains(keys, key) {
			t.Errorf("got %q, want %s", keys, key)
		}
	}
	i := slices.IndexFunc(values, func(v string) bool { return strings.Contains(v, "mesh-listen") })
	if i < 0 {
		t.Fatalf("got %q, which runs no mesh-listen", values)
	}
	_, args, _ := strings.Cut(values[i], `/mesh-listen" `)
	args, _, _ = strings.Cut(args, " 2>>")
	wantStarts(t, "mesh-inbox.plist", t.TempDir(), strings.Fields(args))
}
