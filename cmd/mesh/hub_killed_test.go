//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"mesh/pipe/term/termtest"
	"mesh/proto"
)

// hubDown is how long a hub that is killed stays away.
const hubDown = 2 * time.Second

// killedHub is a hub to kill, with two members.
type killedHub struct {
	*aHub
	t          *testing.T
	port       string
	bob, alice string // folders
}

func newKilledHub(t *testing.T, args ...string) *killedHub {
	t.Helper()
	dir, err := os.MkdirTemp("", "hub")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { termtest.Wait(t, func() error { return os.RemoveAll(dir) }) })
	return joined(t, dir, args...)
}

// joined starts a hub in dir, with two members.
func joined(t *testing.T, dir string, args ...string) *killedHub {
	t.Helper()
	k := &killedHub{aHub: beginHub(t, dir, nil, args...), t: t, bob: filepath.Join(dir, "bob"), alice: filepath.Join(dir, "alice")}
	k.port = regexp.MustCompile(`:(\d+)#`).FindStringSubmatch(k.line)[1]
	for _, at := range []string{k.bob, k.alice} {
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatal(err)
		}
		invite := strings.TrimSpace(k.admin(t, proto.OK, "invite", filepath.Base(at)))
		if p := begin(t, at, nil, "mesh-hub", "join", invite); p.code(t) != proto.OK {
			t.Fatalf("join: %s", p.stderr.Bytes())
		}
	}
	return k
}

// allow lets alice in at bob.
func (k *killedHub) allow() {
	k.t.Helper()
	if p := begin(k.t, k.bob, nil, "mesh-token", "allow", nodeID(k.t, k.alice), "send,recv"); p.code(k.t) != proto.OK {
		k.t.Fatalf("allow: %s", p.stderr.Bytes())
	}
}

// kill kills the hub, and starts it again after hubDown. meanwhile runs while it is away.
func (k *killedHub) kill(meanwhile func()) {
	k.t.Helper()
	_ = k.Process.Kill()
	<-k.ended
	away := time.After(hubDown)
	if meanwhile != nil {
		meanwhile()
	}
	<-away
	k.aHub = beginHub(k.t, k.dir, nil, "--listen", "127.0.0.1:"+k.port)
}

// listen starts bob's listener, and waits until it is online.
func (k *killedHub) listen() *logged {
	k.t.Helper()
	l := k.beginLogged(k.bob, nil, "mesh-listen", "-v", "--listen", "127.0.0.1:0", "--as", "bob", "--", "cat")
	l.await("this is bob")
	return l
}

// cat starts alice's mesh-cat to bob.
func (k *killedHub) cat(args ...string) (p *logged, out *bytes.Buffer) {
	k.t.Helper()
	out = new(bytes.Buffer)
	p = k.beginLogged(k.alice, func(c *exec.Cmd) {
		c.Stdin, c.Stdout = strings.NewReader("through the hub"), out
	}, "mesh-cat", append(args, "-v", "--trust", "hub", "bob")...)
	return p, out
}

// done waits for alice's mesh-cat, which must have succeeded.
func (k *killedHub) done(p *logged, out *bytes.Buffer) {
	k.t.Helper()
	if code := p.code(k.t); code != proto.OK || out.String() != "through the hub" {
		k.t.Errorf("mesh-cat ended with %v, %q: %s", code, out.String(), p.said())
	}
}

// asked waits until the hub has offered a request.
func (k *killedHub) asked() {
	k.t.Helper()
	poll(k.t, "the hub has offered the request", func() bool {
		return strings.Contains(k.admin(k.t, proto.OK, "session", "list"), "asked")
	})
}

// logged is a tool whose standard error goes to a file, to read while it runs.
type logged struct {
	*aTool
	t    *testing.T
	path string
}

func (k *killedHub) beginLogged(dir string, prepare func(*exec.Cmd), name string, args ...string) *logged {
	k.t.Helper()
	f, err := os.CreateTemp(dir, "said-")
	if err != nil {
		k.t.Fatal(err)
	}
	defer f.Close()
	p := begin(k.t, dir, func(c *exec.Cmd) {
		if c.Stderr = f; prepare != nil {
			prepare(c)
		}
	}, name, args...)
	return &logged{p, k.t, f.Name()}
}

func (l *logged) said() string {
	text, err := os.ReadFile(l.path)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(text)
}

func (l *logged) await(text string) {
	l.t.Helper()
	poll(l.t, "it says "+text, func() bool { return strings.Contains(l.said(), text) })
}

func (l *logged) signal(s syscall.Signal) { _ = l.Process.Signal(s) }

// The hub is killed, and is up again after two seconds, while a session is made: the dialer
// repeats its request, the listener decides once, and the transfer succeeds.
func TestHubKilledInSession(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		kill func(k *killedHub, bob *logged)
	}{
		{"the listener was not asked", func(k *killedHub, bob *logged) {
			k.kill(nil)
			bob.signal(syscall.SIGCONT)
		}},
		{"the listener was asked", func(k *killedHub, bob *logged) {
			k.kill(func() { bob.signal(syscall.SIGCONT) })
		}},
		{"the listener has accepted", func(k *killedHub, bob *logged) {
			_ = k.Process.Signal(syscall.SIGSTOP) // the accept waits in its socket
			bob.signal(syscall.SIGCONT)
			bob.await("request accepted")
			k.kill(nil)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k := newKilledHub(t)
			k.allow()
			bob := k.listen()
			bob.signal(syscall.SIGSTOP)
			cat, out := k.cat()
			k.asked()
			tt.kill(k, bob)
			k.done(cat, out)
			if n := strings.Count(bob.said(), "request accepted"); n != 1 {
				t.Errorf("the listener accepted %d requests, want 1: %s", n, bob.said())
			}
			k.stop(t)
		})
	}
}

// The hub is killed while a person is asked: the question stays, and its answer counts.
func TestHubKilledAtQuestion(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	k := newKilledHub(t)
	s := &shared{t: t, dir: k.bob}
	pane := s.pane("bash", 100, 24)
	pane.Run("mesh-recv --listen 127.0.0.1:0 --as bob >in; echo ended-$?")
	pane.WaitText("this is bob")
	cat, _ := k.cat()
	pane.WaitText("[y/N/always]")
	cat.await("waiting for bob to allow it")
	k.kill(nil)
	poll(t, "the hub knows of the question", func() bool {
		return strings.Contains(k.admin(t, proto.OK, "session", "list"), "pending")
	})
	pane.Keys("y")
	pane.Keys("Enter")
	pane.WaitText("ended-0")
	if got, err := os.ReadFile(filepath.Join(k.bob, "in")); err != nil || string(got) != "through the hub" {
		t.Errorf("got %q (%v)", got, err)
	}
	if code := cat.code(t); code != proto.OK {
		t.Errorf("mesh-cat ended with %v: %s", code, cat.said())
	}
	if n := strings.Count(cat.said(), "waiting for bob"); n != 1 {
		t.Errorf("the dialer says %d times that it waits, want once: %s", n, cat.said())
	}
	k.stop(t)
}

// The hub is killed while a dialer waits for a peer that is offline.
func TestHubKilledAtWait(t *testing.T) {
	t.Parallel()
	k := newKilledHub(t)
	k.allow()
	k.listen().signal(syscall.SIGTERM) // the hub knows the name now
	poll(t, "bob is offline", func() bool { return strings.Contains(k.admin(t, proto.OK, "name", "list"), "offline") })
	cat, out := k.cat("--wait", "1m")
	cat.await("peer is not there yet")
	k.kill(nil)
	poll(t, "the dialer is back", func() bool { return cat.logins() > 1 })
	k.listen()
	k.done(cat, out)
	k.stop(t)
}

// logins returns how often a tool with -v has logged in at its hub.
func (l *logged) logins() int { return strings.Count(l.said(), "logged in at the hub") }

// The hub is killed while a pipe runs directly, and beside an idle listener: the pipe goes
// on, and the listener is back within 30 seconds, under its name.
func TestHubKilledBesideLink(t *testing.T) {
	t.Parallel()
	k := newKilledHub(t)
	k.allow()
	bob := k.listen()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	out, err := os.Create(filepath.Join(k.alice, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cat := k.beginLogged(k.alice, func(c *exec.Cmd) { c.Stdin, c.Stdout = r, out }, "mesh-cat", "--trust", "hub", "bob")
	_ = r.Close()
	echo := func(i int) {
		t.Helper()
		line := fmt.Sprintf("line %d\n", i)
		if _, err := w.WriteString(line); err != nil {
			t.Fatal(err)
		}
		poll(t, "the echo of "+line, func() bool {
			got, err := os.ReadFile(out.Name())
			return err == nil && strings.Contains(string(got), line)
		})
	}
	echo(1)
	var died time.Time
	k.kill(func() {
		died = time.Now()
		echo(2)
		bob.await("goes on without the hub until it is back")
	})
	bob.await("hub 127.0.0.1 is back")
	if away := time.Since(died); away > 30*time.Second+hubDown {
		t.Errorf("the listener was back after %v", away)
	}
	echo(3)
	second, got := k.cat()
	k.done(second, got)
	_ = w.Close()
	if code := cat.code(t); code != proto.OK {
		t.Errorf("mesh-cat ended with %v: %s", code, cat.said())
	}
	k.stop(t)
}

// On a full disk the hub refuses changes, and says why; sessions go on. Once there is space,
// changes are made again.
func TestHubDiskFull(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=512k,mode=700", "tmpfs", disk).CombinedOutput(); err != nil {
		t.Skipf("no small disk to be had: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", disk).Run() })
	dir, err := os.MkdirTemp("", "hub")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { termtest.Wait(t, func() error { return os.RemoveAll(dir) }) })
	if err := os.Symlink(disk, filepath.Join(dir, "home")); err != nil {
		t.Fatal(err)
	}
	k := joined(t, dir)
	k.allow()
	bob := k.listen()
	fill := filepath.Join(disk, "fill")
	_ = exec.Command("dd", "if=/dev/zero", "of="+fill, "bs=4096").Run() // until the disk is full
	poll(t, "a change is refused", func() bool {
		p := begin(t, k.dir, nil, "mesh-hub", "ban", "add", "203.0.113.9")
		code := p.code(t)
		if code != proto.OK && (code != proto.Space || !strings.Contains(p.stderr.String(), "no space left on device") ||
			strings.Count(p.stderr.String(), "write ") > 1) {
			t.Fatalf("a change on a full disk ended with %v: %s", code, p.stderr.Bytes())
		}
		return code != proto.OK
	})
	for range 3 {
		k.done(k.cat())
	}
	if n := strings.Count(bob.said(), "request accepted"); n != 3 {
		t.Errorf("got %d sessions, want 3", n)
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	k.admin(t, proto.OK, "ban", "add", "203.0.113.8")
	if got := k.admin(t, proto.OK, "ban", "list"); !strings.Contains(got, "203.0.113.8/32") {
		t.Errorf("got bans %q", got)
	}
	k.stop(t)
}
