//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mesh/pipe/term/termtest"
	"mesh/proto"
)

// At a terminal the user is asked about a key that the hub names, even if standard input is
// the data to send. The answer is kept in the address book, so that no second question comes.
func TestHubAsks(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	dir, err := os.MkdirTemp("", "ask")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { termtest.Wait(t, func() error { return os.RemoveAll(dir) }) })
	h := beginHub(t, t.TempDir(), nil)
	bob := t.TempDir()
	for _, home := range []string{bob, dir} {
		invite := strings.TrimSpace(h.admin(t, proto.OK, "invite"))
		if p := begin(t, home, nil, "mesh-hub", "join", invite); p.code(t) != proto.OK {
			t.Fatalf("join: %s", p.stderr.Bytes())
		}
	}
	run := func(home, name string, args ...string) string {
		c := exec.CommandContext(t.Context(), name, args...)
		c.Dir, c.Env = home, append(os.Environ(), "MESH_HOME="+filepath.Join(home, "home"))
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return strings.TrimSpace(string(out))
	}
	run(bob, "mesh-token", "allow", run(dir, "mesh-token", "id"), "send")
	out, said := filepath.Join(bob, "out"), filepath.Join(bob, "said")
	log, err := os.Create(said)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	begin(t, bob, func(c *exec.Cmd) { c.Stderr = log }, "mesh-listen", "--listen", "127.0.0.1:0", "--as", "bob", "--", "sh", "-c", "cat >>"+out)
	termtest.Wait(t, func() error {
		if got, err := os.ReadFile(said); err != nil || !strings.Contains(string(got), "this is bob") {
			return fmt.Errorf("got %q (%v), want that it is bob", got, err)
		}
		return nil
	})
	s := &shared{t: t, dir: dir}
	pane := s.pane("bash", 100, 24)
	for _, step := range []struct{ answer, end string }{{"n", "first-23"}, {"y", "second-0"}, {"", "third-0"}} {
		name, _, _ := strings.Cut(step.end, "-")
		pane.Run("clear; echo " + name + "-$((41+1))") // no question of the step before is left then
		pane.WaitText(name + "-42")
		pane.Run("echo data | mesh-cat bob; echo " + name + "-$?")
		if step.answer != "" {
			pane.WaitText("Trust this key? [y/N]")
			pane.Keys(step.answer)
			pane.Keys("Enter")
		}
		pane.WaitText(step.end)
	}
	got, err := os.ReadFile(out)
	if want := "data\ndata\n"; string(got) != want || err != nil {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
}
