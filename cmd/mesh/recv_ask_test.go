//go:build unix

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"mesh/pipe/term/termtest"
	"mesh/proto"
)

// At a terminal mesh-recv asks where files are to go.
func TestRecvAsks(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	from := t.TempDir()
	if err := os.WriteFile(filepath.Join(from, "photo"), []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	for answer, want := range map[string]proto.Code{"Enter": proto.OK, "n": proto.Declined} {
		dir, err := os.MkdirTemp("", "ask")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { termtest.Wait(t, func() error { return os.RemoveAll(dir) }) })
		s := &shared{t: t, dir: dir}
		pane := s.pane("bash", 80, 24)
		pane.Run("clear; mesh-recv --listen 127.0.0.1:0 --token-file tok; echo ended $?")
		s.waitFile("tok")
		send := exec.CommandContext(t.Context(), "mesh-cat", "@"+filepath.Join(dir, "tok"), filepath.Join(from, "photo"))
		send.Env = append(os.Environ(), "MESH_HOME="+t.TempDir())
		if err := send.Start(); err != nil {
			t.Fatal(err)
		}
		pane.WaitText("? [Y/n]")
		if _, err := os.Stat(filepath.Join(dir, "photo")); err == nil {
			t.Error("the file is stored before the answer")
		}
		pane.Keys(answer)
		if answer != "Enter" {
			pane.Keys("Enter")
		}
		pane.WaitText("ended " + strconv.Itoa(int(want)))
		got := 0
		if e, ok := errors.AsType[*exec.ExitError](send.Wait()); ok {
			got = e.ExitCode()
		}
		if got != int(want) {
			t.Errorf("%s: the sender ended with %d, want %d", answer, got, want)
		}
		if _, err := os.Stat(filepath.Join(dir, "photo")); (err == nil) != (want == proto.OK) {
			t.Errorf("%s: got %v", answer, err)
		}
	}
}
