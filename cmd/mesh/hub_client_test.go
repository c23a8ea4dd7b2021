//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
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
	h.stop(t)
}
