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
)

// A session of tmux that is shared read-only keeps its size, and viewers see it. A shared
// terminal cannot be viewed from inside itself.
func TestTTYShareTmux(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("no tmux here")
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	tmux := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("tmux", append([]string{"-u", "-f", "/dev/null", "-S", socket}, args...)...)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TMUX=")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	tmux("new-session", "-d", "-s", "S", "-x", "120", "-y", "40", "sh", "-c", "echo within tmux; exec cat")
	t.Cleanup(func() { tmux("kill-server") })
	client := termtest.New(t, 120, 40, nil, "env", "-u", "TMUX", "tmux", "-S", socket, "attach", "-t", "S")
	client.WaitText("within tmux")
	want := tmux("display-message", "-p", "-t", "S", "#{window_width}x#{window_height}")
	sharer := begin(t, dir, nil, "mesh-tty", "--share", "--headless", "--size", "60x20", "--control", "--listen", "127.0.0.1:0", "--token-file", "tok",
		"--", "env", "-u", "TMUX", "LC_ALL=C.UTF-8", "tmux", "-S", socket, "attach", "-r", "-t", "S")
	s := &shared{t: t, dir: dir}
	s.waitFile("tok.control")
	v := s.view("tok.control", 60, 20)
	v.WaitText("within tmux")
	client.Run("and more")
	v.WaitText("and more\nand more")
	v.Run("not this") // -r
	client.Run("but this")
	v.WaitText("but this\nbut this")
	if got := v.Text(); strings.Contains(got, "not this") {
		t.Errorf("typed into a tmux that is read-only:\n%s", got)
	}
	if got := tmux("display-message", "-p", "-t", "S", "#{window_width}x#{window_height}"); got != want {
		t.Errorf("the window's size: got %s, want %s", got, want)
	}
	_ = sharer.Process.Kill()
	own := share(t, 80, 24)
	own.sharer.Run("mesh-tty @tok; echo status $?")
	own.sharer.WaitText("status 23")
	termtest.Wait(t, func() error {
		if got := own.sharer.Text(); !strings.Contains(got, "session") {
			return fmt.Errorf("it does not say why:\n%s", got)
		}
		return nil
	})
}
