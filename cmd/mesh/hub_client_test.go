//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"mesh/proto"
)

// A client that was written by mesh-protocol(7) alone, in another language, gets along with
// the hub and with a tool of mesh.
func TestHubOtherClient(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here")
	}
	script, err := filepath.Abs(filepath.Join("testdata", "hub_client.py"))
	if err != nil {
		t.Fatal(err)
	}
	client := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), python, append([]string{script}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args[0], err, out)
		}
		return strings.TrimSpace(string(out))
	}
	dir, err := os.MkdirTemp("", "hub")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := beginHub(t, dir, nil)
	line := regexp.MustCompile(`wss(://\S+)#(\S+)`).FindStringSubmatch(h.line)
	url, hubID := "ws"+line[1], line[2]
	seeds := []string{strings.Repeat("a1", 32), strings.Repeat("b2", 32)}
	for _, seed := range seeds {
		h.admin(t, proto.OK, "member", "add", client("id", seed))
	}
	if got := client("check", url, hubID, seeds[0], seeds[1]); got != "ok" {
		t.Errorf("got %q, want ok", got)
	}

	// A tool of mesh asks for a name of the other client.
	h.admin(t, proto.OK, "member", "add", nodeID(t, dir))
	said := filepath.Join(dir, "said")
	f, err := os.Create(said)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	other := begin(t, dir, func(c *exec.Cmd) { c.Stdout = f }, python, script, "wait", url, hubID, seeds[0], "other")
	read := func() string {
		text, err := os.ReadFile(said)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	poll(t, "the other client waits", func() bool { return strings.Contains(read(), "waiting") })
	cat := begin(t, dir, nil, "mesh-cat", "--hub", "wss"+line[1]+"#"+hubID, "--trust", "hub", "other")
	if code := cat.code(t); code != proto.Busy {
		t.Errorf("mesh-cat ended with %v, want %v: %s", code, proto.Busy, cat.stderr.Bytes())
	}
	if code := other.code(t); code != proto.OK || read() != "waiting\n"+nodeID(t, dir)+"\n" {
		t.Errorf("the other client ended with %v, %q: %s", code, read(), other.stderr.Bytes())
	}

	// What the listener of mesh seals, and what mesh opens.
	otherID := client("id", seeds[0])
	box := filepath.Join(dir, "box")
	if err := os.Mkdir(box, 0o700); err != nil {
		t.Fatal(err)
	}
	h.admin(t, proto.OK, "member", "add", nodeID(t, box))
	if p := begin(t, box, nil, "mesh-token", "allow", otherID, "send"); p.code(t) != proto.OK {
		t.Fatalf("allow: %s", p.stderr.Bytes())
	}
	listen := begin(t, box, nil, "mesh-listen", "--hub", "wss"+line[1]+"#"+hubID, "--listen", "127.0.0.1:0", "--as", "box", "--", "cat")
	poll(t, "the listener is online", func() bool { return strings.Contains(h.admin(t, proto.OK, "name", "list"), "box\t") })
	out, err := exec.CommandContext(t.Context(), python, script, "open", url, hubID, seeds[0], "box").Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 77 {
		t.Logf("sealed messages are not tried: %s", exit.Stderr)
	} else {
		var grant struct{ Method, Caps string }
		if jsonErr := json.Unmarshal(out, &grant); err != nil || jsonErr != nil || grant.Method != "key" || grant.Caps != "send" {
			t.Errorf("the other client opens %q (%v), want the method key and send", out, err)
		}
		if err := f.Truncate(0); err != nil {
			t.Fatal(err)
		}
		sealer := begin(t, dir, func(c *exec.Cmd) { c.Stdout = f }, python, script, "seal", url, hubID, seeds[1], "sealer")
		poll(t, "the other client waits again", func() bool { return strings.Contains(read(), "waiting") })
		cat := begin(t, dir, nil, "mesh-cat", "--hub", "wss"+line[1]+"#"+hubID, "--trust", "hub", "--deadline", "60s", "sealer")
		if code := sealer.code(t); code != proto.OK || !strings.HasSuffix(read(), nodeID(t, dir)+"\n") {
			t.Errorf("the other client ended with %v, %q: %s", code, read(), sealer.stderr.Bytes())
		}
		_ = cat.Process.Signal(syscall.SIGTERM) // it finds nobody at the address
		cat.code(t)
	}
	_ = listen.Process.Signal(syscall.SIGTERM)
	listen.code(t)
	h.stop(t)
}
