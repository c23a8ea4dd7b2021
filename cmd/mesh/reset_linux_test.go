package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/transport"
)

// routed makes two network namespaces with a router between them. The caller has 192.0.2.1,
// the other one 198.51.100.9: a path between them is direct, and not one of a local network.
func routed(t *testing.T) (caller, router, other string) {
	t.Helper()
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("no nft here")
	}
	caller, router = roamers(t)
	ip(t, "-n", router, "addr", "del", "192.0.2.9/24", "dev", "eth0")
	ip(t, "-n", router, "addr", "add", "192.0.2.254/24", "dev", "eth0")
	ip(t, "-n", caller, "route", "add", "default", "via", "192.0.2.254")
	other = strings.TrimSuffix(router, "b") + "c"
	ip(t, "netns", "add", other)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", other).Run() })
	ip(t, "-n", router, "link", "add", "eth1", "type", "veth", "peer", "name", "eth0", "netns", other)
	ip(t, "-n", router, "addr", "add", "198.51.100.254/24", "dev", "eth1")
	ip(t, "-n", router, "link", "set", "eth1", "up")
	ip(t, "-n", other, "addr", "add", "198.51.100.9/24", "dev", "eth0")
	ip(t, "-n", other, "link", "set", "eth0", "up")
	ip(t, "-n", other, "route", "add", "default", "via", "198.51.100.254")
	ip(t, "netns", "exec", router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	return caller, router, other
}

// filter lets a router do with all that it forwards what the rule says, until heal is called.
func filter(t *testing.T, router, rule string) (heal func()) {
	t.Helper()
	ip(t, "netns", "exec", router, "nft", "table ip cut { chain f { type filter hook forward priority 0; "+rule+"; }\n}")
	return func() { ip(t, "netns", "exec", router, "nft", "delete", "table", "ip", "cut") }
}

// sizeBelow returns the size of the files below a folder.
func sizeBelow(dir string) (size int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				size += info.Size()
			}
		}
		return nil
	})
	return size
}

// resetFor is longer than the firewall of a router takes to be reloaded (2.5 s), and than the
// resets of a peer in the same network take to be believed.
const resetFor = transport.GoneAfter + 2*time.Second

// A router whose firewall has lost its table of connections answers each packet of a direct
// TCP path with RST, at both ends. That is a broken link, and the transfer goes on: neither
// end takes the reset for the end of the peer's process.
func TestRouterResets(t *testing.T) {
	t.Parallel()
	const size = 12 << 20 // about 6 s at the rate below
	for _, tt := range []struct {
		name             string
		listener, dialer string // @ stands for the token, LISTEN for the flags of a listener
	}{
		{"pipe up", "mesh-recv LISTEN >out/data", "mesh-cat CALL @ <data"},
		{"pipe down", "mesh-listen LISTEN <data", "mesh-recv CALL @ >out/data"},
		{"files up", "mesh-recv LISTEN -C out", "mesh-cat CALL @ data"},
		{"files down", "mesh-listen LISTEN data", "mesh-recv CALL -C out @"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			caller, router, other := routed(t)
			dir := t.TempDir()
			data := bytes.Repeat([]byte(tt.name+" 0123456789abcdef"), size/len(tt.name+" 0123456789abcdef"))
			if err := os.WriteFile(filepath.Join(dir, "data"), data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(dir, "out"), 0o700); err != nil {
				t.Fatal(err)
			}
			run := func(ns, home, command string) *aTool {
				command = strings.NewReplacer("LISTEN", "--listen 198.51.100.9:0 --token-file tok --limit-rate 2M", "CALL", "--via tcp --events ev", "@", "@tok").Replace(command)
				return begin(t, dir, func(c *exec.Cmd) {
					c.Env = append(c.Env, "MESH_HOME="+filepath.Join(dir, home))
				}, "ip", "netns", "exec", ns, "sh", "-c", "exec "+command)
			}
			listener := run(other, "listener", tt.listener)
			await(t, filepath.Join(dir, "tok"))
			dialer := run(caller, "caller", tt.dialer)
			poll(t, "some bytes have arrived", func() bool { return sizeBelow(filepath.Join(dir, "out")) > size/8 })
			heal := filter(t, router, "meta l4proto tcp reject with tcp reset")
			<-time.After(resetFor)
			heal()
			if d, l := dialer.code(t), listener.code(t); d != proto.OK || l != proto.OK {
				t.Errorf("the dialer ended with %v, the listener with %v: %s%s", d, l, dialer.stderr.Bytes(), listener.stderr.Bytes())
			}
			if got := readFile(t, filepath.Join(dir, "out", "data")); !bytes.Equal(got, data) {
				t.Errorf("got %d bytes, want the %d that were sent", len(got), len(data))
			}
			events := string(readFile(t, filepath.Join(dir, "ev")))
			for _, want := range []string{`"event":"resumed"`, `"event":"receipt".*"path":"direct tcp4"`} {
				if !regexp.MustCompile(want).MatchString(events) {
					t.Errorf("no event %s in\n%s", want, events)
				}
			}
		})
	}
}

// A viewer of a terminal sees each line once, though a router answers with RST.
func TestRouterResetsTerminal(t *testing.T) {
	t.Parallel()
	caller, router, other := routed(t)
	dir := t.TempDir()
	inside := func(ns, home string, out *os.File, args ...string) *aTool {
		return begin(t, dir, func(c *exec.Cmd) {
			c.Env = append(c.Env, "MESH_HOME="+filepath.Join(dir, home))
			if out != nil {
				c.Stdout = out
			}
		}, "ip", append([]string{"netns", "exec", ns}, args...)...)
	}
	sharer := inside(other, "sharer", nil, "mesh-tty", "--share", "--headless", "--listen", "198.51.100.9:0", "--token-file", "tok",
		"--", "sh", "-c", "for i in $(seq 80); do echo line $i; sleep 0.1; done")
	await(t, filepath.Join(dir, "tok"))
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	viewer := inside(caller, "viewer", out, "mesh-tty", "--plain", "--backlog", "--via", "tcp", "--events", "ev", "@tok")
	poll(t, "the viewer has seen some lines", func() bool { return bytes.Contains(readFile(t, out.Name()), []byte("line 20")) })
	heal := filter(t, router, "meta l4proto tcp reject with tcp reset")
	<-time.After(resetFor)
	heal()
	if v, s := viewer.code(t), sharer.code(t); v != proto.OK || s != proto.OK {
		t.Errorf("the viewer ended with %v, the sharer with %v: %s%s", v, s, viewer.stderr.Bytes(), sharer.stderr.Bytes())
	}
	var want strings.Builder
	for i := range 80 {
		fmt.Fprintf(&want, "line %d\n", i+1)
	}
	if got := string(readFile(t, out.Name())); got != want.String() {
		t.Errorf("the viewer has seen %q, want %q", got, want.String())
	}
	if events := readFile(t, filepath.Join(dir, "ev")); !bytes.Contains(events, []byte(`"event":"resumed"`)) {
		t.Errorf("the link was not broken:\n%s", events)
	}
}
