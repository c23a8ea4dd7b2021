//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"mesh/cmd/mesh/internal/attacker"
	"mesh/proto"
)

// From another shell, ctl kick and ctl revoke close the viewer's token to new nodes, and
// ctl token replaces that token, in its file too. The new one lets new nodes in.
func TestKickFromAnotherShell(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"kick", "revoke"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			begin(t, dir, nil, "mesh-tty", "--share", "--headless", "--control", "--listen", "127.0.0.1:0", "--token-file", "tok", "--", "cat")
			file := filepath.Join(dir, "tok.control")
			tok := tokenIn(t, file)
			if _, err := join(t, tok, anyListener()); err != nil {
				t.Fatal(err)
			}
			ctl := func(args ...string) {
				t.Helper()
				sockets, err := filepath.Glob(filepath.Join(dir, "home", "tty", "tty-*"))
				if err != nil || len(sockets) != 1 {
					t.Fatalf("got the sockets %q (%v), want one", sockets, err)
				}
				here := func(c *exec.Cmd) { c.Env = append(c.Env, "MESH_TTY_SOCKET="+sockets[0]) }
				p := begin(t, dir, here, "mesh-tty", append([]string{"ctl"}, args...)...)
				if got := p.code(t); got != proto.OK {
					t.Fatalf("mesh-tty ctl %s ended with %v: %s", args, got, p.stderr.Bytes())
				}
			}
			old, _ := os.ReadFile(file)
			ctl(verb, "1")
			if _, err := join(t, tok, anyListener()); proto.Code(attacker.Status(err)) != proto.Declined {
				t.Errorf("a new node with the same token: got %v, want it closed with %v", err, proto.Declined)
			}
			ctl("token")
			if now, _ := os.ReadFile(file); bytes.Equal(now, old) {
				t.Error("the closed token is still in its file")
			}
			if _, err := join(t, tokenIn(t, file), anyListener()); err != nil {
				t.Errorf("a new node with the new token: %v", err)
			}
			if _, err := join(t, tok, anyListener()); proto.Code(attacker.Status(err)) != proto.Declined {
				t.Errorf("a new node with the old token: got %v, want it closed with %v", err, proto.Declined)
			}
		})
	}
}
