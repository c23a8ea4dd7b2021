package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"mesh/proto"
)

// counts reports whether a hub's metrics at addr have a line.
func counts(t *testing.T, addr, line string) bool {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	return err == nil && strings.Contains(string(text), line)
}

// unread returns the most bytes that a connection to a port of loopback has received, and its
// process has not read.
func unread(t *testing.T, port string) (most int) {
	t.Helper()
	text, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) { // see proc_net_tcp(5)
		fields := strings.Fields(line)
		if len(fields) < 5 || !strings.HasSuffix(fields[2], fmt.Sprintf(":%04X", n)) {
			continue
		}
		if _, received, ok := strings.Cut(fields[4], ":"); ok {
			bytes, err := strconv.ParseInt(received, 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			most = max(most, int(bytes))
		}
	}
	return most
}

// The hub is killed when a dialer has proven a code, and the listener has not seen that: both
// go on at the next hub by the box of the code, and no new code is shown.
func TestHubKilledAtCode(t *testing.T) {
	t.Parallel()
	metrics := freeAddr(t)
	k := newKilledHub(t, "--metrics", metrics)
	var in bytes.Buffer
	bob := k.beginLogged(k.bob, func(c *exec.Cmd) { c.Stdout = &in }, "mesh-recv", "-v", "--listen", "127.0.0.1:0")
	bob.await("run: mesh-cat ")
	code := regexp.MustCompile(`run: mesh-cat (\S+)\n`).FindStringSubmatch(bob.said())
	if code == nil {
		t.Fatalf("no code: %s", bob.said())
	}
	bob.signal(syscall.SIGSTOP)
	cat := k.beginLogged(k.alice, func(c *exec.Cmd) { c.Stdin = strings.NewReader("through the hub") }, "mesh-cat", "-v", code[1])
	const both = 400 // bytes of the events that the code is claimed and confirmed; one alone has less
	poll(t, "the confirm is at the listener", func() bool {
		return counts(t, metrics, `mesh_hub_events_total{type="p2p.code.confirm"} 1`) && unread(t, k.port) >= both
	})
	k.kill(func() { bob.signal(syscall.SIGCONT) })
	if code := cat.code(t); code != proto.OK {
		t.Fatalf("mesh-cat ended with %v: %s; mesh-recv says %s", code, cat.said(), bob.said())
	}
	if code := bob.code(t); code != proto.OK || in.String() != "through the hub" {
		t.Errorf("mesh-recv ended with %v, %q: %s", code, in.String(), bob.said())
	}
	if n := strings.Count(bob.said(), "run: mesh-cat "); n != 1 {
		t.Errorf("the listener showed %d codes, want 1: %s", n, bob.said())
	}
	k.stop(t)
}

// The hub is killed while a tool waits under a passing name, and another node has that name
// when the tool is back: the tool says so, and is still reached by its node id.
func TestHubKilledAtName(t *testing.T) {
	t.Parallel()
	k := newKilledHub(t)
	k.allow()
	var in bytes.Buffer
	bob := k.beginLogged(k.bob, func(c *exec.Cmd) { c.Stdout = &in }, "mesh-recv", "--listen", "127.0.0.1:0", "--as", "laptop")
	bob.await("this is laptop")
	bob.signal(syscall.SIGSTOP)
	k.kill(nil)
	other := k.beginLogged(k.alice, nil, "mesh-recv", "--listen", "127.0.0.1:0", "--as", "laptop")
	other.await("this is laptop")
	bob.signal(syscall.SIGCONT)
	bob.await("the name laptop is taken by")
	cat := k.beginLogged(k.alice, func(c *exec.Cmd) { c.Stdin = strings.NewReader("by its key") }, "mesh-cat", nodeID(t, k.bob))
	if code := cat.code(t); code != proto.OK {
		t.Errorf("mesh-cat ended with %v: %s", code, cat.said())
	}
	if code := bob.code(t); code != proto.OK || in.String() != "by its key" {
		t.Errorf("mesh-recv in %s ended with %v, %q: %s", filepath.Base(k.bob), code, in.String(), bob.said())
	}
	k.stop(t)
}
