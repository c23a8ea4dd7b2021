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

// shared is a shell that is shared from one pane of tmux and viewed in others.
type shared struct {
	t      *testing.T
	dir    string
	sharer *termtest.Pane
}

// share shares a shell, waits for its prompt, and has both tokens in files.
func share(t *testing.T, cols, rows int, flags ...string) *shared {
	t.Helper()
	s := shareCommand(t, cols, rows, "bash --norc --noprofile", flags...)
	s.sharer.Run("clear; echo shared $((40+2))")
	s.sharer.WaitText("shared 42")
	return s
}

// shareCommand shares a command.
func shareCommand(t *testing.T, cols, rows int, command string, flags ...string) *shared {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	dir, err := os.MkdirTemp("", "tty")
	if err != nil {
		t.Fatal(err)
	}
	// The processes in the panes may still write after the end of tmux.
	t.Cleanup(func() { termtest.Wait(t, func() error { return os.RemoveAll(dir) }) })
	s := &shared{t: t, dir: dir}
	s.sharer = s.pane("bash", cols, rows)
	s.sharer.Run("clear; mesh-tty --share --control --listen 127.0.0.1:0 --token-file tok " + strings.Join(flags, " ") + " -- " + command + "; echo ended $?")
	s.waitFile("tok.control")
	return s
}

// pane starts a shell in a pane, with the folders of the test.
func (s *shared) pane(shell string, cols, rows int) *termtest.Pane {
	s.t.Helper()
	p := termtest.Shell(s.t, shell, cols, rows, "MESH_HOME="+filepath.Join(s.dir, "home"), "HOME="+s.dir, "LC_ALL=C.UTF-8", "SHELL=/bin/sh")
	p.Run("cd " + s.dir)
	return p
}

func (s *shared) waitFile(name string) {
	s.t.Helper()
	termtest.Wait(s.t, func() error {
		_, err := os.Stat(filepath.Join(s.dir, name))
		return err
	})
}

// view starts a viewer in a pane of its own. token is tok or tok.control.
func (s *shared) view(token string, cols, rows int, flags ...string) *termtest.Pane {
	s.t.Helper()
	p := s.pane("bash", cols, rows)
	p.Run("clear; mesh-tty " + strings.Join(flags, " ") + " @" + token)
	return p
}

// state returns the visible part of a pane and its modes. A cursor beyond the last column
// is in the last column.
func state(p *termtest.Pane) string {
	return p.Look() + "\n" + strings.Replace(p.Format("cursor #{?#{==:#{cursor_x},#{pane_width}},end,#{cursor_x}},#{cursor_y} #{cursor_flag} alternate #{alternate_on} mouse #{mouse_any_flag} #{mouse_button_flag} #{mouse_sgr_flag} keypad #{keypad_flag} #{keypad_cursor_flag}"), "cursor end", fmt.Sprint("cursor ", p.Format("#{e|-:#{pane_width},1}")), 1)
}

// wantSame waits until two panes show the same. They may differ in the use of the
// alternate screen: a viewer is always on it.
func wantSame(t *testing.T, what string, sharer, viewer *termtest.Pane) {
	t.Helper()
	termtest.Wait(t, func() error {
		want := strings.Replace(state(sharer), "alternate 0", "alternate 1", 1)
		got := state(viewer)
		for i, line := range strings.Split(want, "\n") {
			first, rest, _ := strings.Cut(got, "\n")
			if first != line {
				return fmt.Errorf("%s: line %d: the viewer has\n%q\nthe sharer has\n%q", what, i+1, first, line)
			}
			got = rest
		}
		return nil
	})
}

// A viewer that joins late shows what the sharer shows, for every program, from then on.
func TestLateJoin(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		program string
		start   string // the command line
		shows   string // what is to be seen when it runs
		setup   []string
		keys    []string // of a person who uses it
	}{
		{"vim", "vim -u NONE -N -n text.go", "package", []string{":syntax on", "Enter", ":split", "Enter", "/func", "Enter"}, []string{"j", "C-f", "C-b", "w", "n", "dd", "u", "C-w", "w", "G", "gg"}},
		{"less", "less -R text.go", "package", []string{"/func", "Enter"}, []string{"Space", "b", "n", "N", "j", "k", "G", "g"}},
		{"mc", "mc -u", "Modify time", nil, []string{"Down", "Up", "Tab", "End", "Home"}},
		{"htop", "htop -d 100", "CPU%", nil, []string{"Down", "Up", "F5", "F6", "Escape"}},
		{"top", "top -d 1000", "COMMAND", nil, []string{"Down", "c", "x", "b", "z"}},
		{"sh", "sh colours", "done", nil, []string{"Enter", "x", "BSpace", "C-l"}},
	} {
		t.Run(tt.program, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(tt.program); err != nil {
				t.Skipf("no %s here", tt.program)
			}
			s := share(t, 120, 40)
			text, err := os.ReadFile("main.go")
			if err != nil {
				t.Fatal(err)
			}
			colours := "for i in 1 2 3 4 5 6 7; do printf '\\033[3%d;1mline %d\\033[0m \\033[4%dmback\\033[K\\033[0m\\r\\n' $i $i $i; done; printf '漢字 é done'\n"
			for name, data := range map[string][]byte{"text.go": []byte(strings.Repeat(string(text), 5)), "colours": []byte(colours)} {
				if err := os.WriteFile(filepath.Join(s.dir, name), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s.sharer.Run("clear; " + tt.start)
			s.sharer.WaitText(tt.shows)
			for _, k := range tt.setup {
				s.sharer.Keys(k)
			}
			v := s.view("tok.control", 120, 40)
			wantSame(t, "joined", s.sharer, v)
			for i := range 200 {
				typist := v
				if i%2 == 0 {
					typist = s.sharer
				}
				typist.Keys(tt.keys[i%len(tt.keys)])
				if i%20 == 19 {
					wantSame(t, fmt.Sprintf("key %d", i), s.sharer, v)
				}
			}
		})
	}
}
