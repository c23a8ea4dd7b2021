//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A token that is printed can be read before a full-screen program takes the screen, and
// later the sharer alone sees it.
func TestTTYTokenIsSeen(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	s := &shared{t: t, dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(s.dir, "text"), []byte("text of the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.sharer = s.pane("bash", 100, 30)
	s.sharer.Run("clear; mesh-tty --share --listen 127.0.0.1:0 -- env less text")
	s.sharer.WaitText("press a key to start env")
	if got := s.sharer.Text(); !strings.Contains(got, "MESH_PEER=mesh1") || strings.Contains(got, "text of") {
		t.Errorf("before the key:\n%s", got)
	}
	s.sharer.Keys("Space")
	s.sharer.WaitText("text of the file")
	s.sharer.Type("q")
	s.sharer.WaitShell()
}

// ctl token shows the tokens on the sharer's screen, until a key is pressed, and to no
// viewer. From another terminal it prints them.
func TestTTYCtlToken(t *testing.T) {
	t.Parallel()
	s := share(t, 100, 30)
	v := s.view("tok", 100, 30)
	v.WaitText("shared 42")
	s.sharer.Run("mesh-tty ctl token; echo asked $((40+2)) >asked; cat asked; echo $MESH_TTY_SOCKET >socket")
	s.sharer.WaitText("Viewers do not see this")
	if got := s.sharer.Text(); strings.Count(got, "MESH_PEER=mesh1") != 2 {
		t.Errorf("the sharer sees:\n%s", got)
	}
	v.WaitText("asked 42")
	if got := v.Text(); strings.Contains(got, "mesh1") {
		t.Errorf("a viewer sees:\n%s", got)
	}
	s.sharer.Keys("x")
	wantSame(t, "after the key", s.sharer, v)
	if got := s.sharer.Text(); strings.Contains(got, "mesh1") || strings.Contains(got, "PROMPT> x") {
		t.Errorf("after the key the sharer sees:\n%s", got)
	}
	other := s.pane("bash", 100, 30)
	other.Run("clear; MESH_TTY_SOCKET=$(cat socket) mesh-tty ctl token >tokens; cut -f1 tokens; cut -f2 tokens | cmp - <(cat tok tok.control) && echo same $((40+2))")
	other.WaitText("tty:view\ntty:view,tty:control\nsame 42")
}
