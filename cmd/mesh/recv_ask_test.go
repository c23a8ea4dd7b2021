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
		pane := s.pane("bash", 200, 24) // the question names a folder, and must not wrap
		pane.Run("clear; mesh-recv --listen 127.0.0.1:0 --token-file tok; echo ended $?")
		s.waitFile("tok")
		send := exec.CommandContext(t.Context(), "mesh-cat", "@"+filepath.Join(dir, "tok"), filepath.Join(from, "photo"))
		send.Env = append(os.Environ(), "MESH_HOME="+t.TempDir())
		if err := send.Start(); err != nil {
			t.Fatal(err)
		}
		pane.WaitText("mesh-recv: photo (4 bytes) from ")
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

// What a peer offers is counted before the question. After no, the
// offer has ended; after yes, only the files of the NAMEs are stored.
func TestRecvAsksOffer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for _, tt := range []struct {
		args, question, answer string
		want                   proto.Code
		stored                 string
	}{
		{"", "photos and 1 more: 4 files, 2.1 kB from ", "Enter", proto.OK, "photos/a"},
		{"photos/sub zeta", "photos and 1 more: 2 files, 1.0 kB from ", "Enter", proto.OK, "photos/sub/c"},
		{"photos/none", "", "", proto.IO, ""},
		{"", "photos and 1 more: 4 files, 2.1 kB from ", "n", proto.Declined, ""},
	} {
		dir, err := os.MkdirTemp("", "ask")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { termtest.Wait(t, func() error { return os.RemoveAll(dir) }) })
		from := t.TempDir()
		for name, bytes := range map[string]int{"photos/a": 1000, "photos/sub/c": 999, "photos/d": 100, "zeta": 10} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(from, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(from, name), make([]byte, bytes), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s := &shared{t: t, dir: dir}
		listen := begin(t, from, nil, "mesh-listen", "--listen", "127.0.0.1:0", "--token-file", filepath.Join(dir, "tok"), "photos", "zeta")
		s.waitFile("tok")
		pane := s.pane("bash", 200, 24) // the question names a folder, and must not wrap
		pane.Run("clear; mesh-recv @tok " + tt.args + "; echo ended $?")
		if tt.question != "" {
			pane.WaitText("mesh-recv: " + tt.question)
			pane.WaitText("? [Y/n]")
			pane.Keys(tt.answer)
			if tt.answer != "Enter" {
				pane.Keys("Enter")
			}
		}
		pane.WaitText("ended " + strconv.Itoa(int(tt.want)))
		if tt.want == proto.IO {
			continue // mesh-listen still waits
		}
		if got := listen.code(t); got != tt.want {
			t.Errorf("%q: mesh-listen ended with %v: %s", tt.args, got, listen.stderr.Bytes())
		}
		if _, err := os.Stat(filepath.Join(dir, "photos/d")); (err == nil) != (tt.want == proto.OK && tt.args == "") {
			t.Errorf("%q: photos/d: got %v", tt.args, err)
		}
		if _, err := os.Stat(filepath.Join(dir, tt.stored)); err != nil {
			t.Error(err)
		}
	}
}

// A listener with data in its standard input names the tool that takes data.
func TestListenNamesTool(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for command, want := range map[string]string{
		"printf data | mesh-listen":       "run: mesh-recv mesh1",
		"mesh-listen </etc/passwd":        "run: mesh-recv mesh1",
		"mesh-listen":                     "run: mesh-cat mesh1",
		"mesh-listen </dev/null":          "run: mesh-cat mesh1",
		"printf data | mesh-listen | cat": "run: mesh-cat mesh1",
		"mesh-listen -- tar cf - /etc":    "; mesh-recv @token",
	} {
		dir, err := os.MkdirTemp("", "tool")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { termtest.Wait(t, func() error { return os.RemoveAll(dir) }) })
		s := &shared{t: t, dir: dir}
		pane := s.pane("bash", 300, 24)
		pane.Run("clear; " + command)
		pane.WaitText(want)
		pane.Keys("C-c")
	}
}
