//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mesh/pipe/term/termtest"
	"mesh/proto"
)

// mesh-tty --share ends with the status of the command, and restores the terminal
// after every end that it can notice.
func TestTTYShareEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, command string
		end           func(t *testing.T, s *shared)
		status        string
	}{
		{"status", "sh -c 'exit 7'", func(*testing.T, *shared) {}, "7"},
		{"signal", "sh -c 'kill -TERM $$'", func(*testing.T, *shared) {}, "143"},
		{"left behind", `printf '\033[?1049h\033[?25l\033[?1000h\033[?2004h\033[31m'`, func(*testing.T, *shared) {}, "0"},
		{"exit", "sh", func(_ *testing.T, s *shared) { s.sharer.Run("exit 3") }, "3"},
		{"SIGTERM", "cat", func(t *testing.T, s *shared) { s.kill(syscall.SIGTERM) }, "143"},
		{"SIGHUP", "cat", func(t *testing.T, s *shared) { s.kill(syscall.SIGHUP) }, "129"},
		{"SIGKILL", "cat", func(t *testing.T, s *shared) { s.kill(syscall.SIGKILL) }, "137"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := shareCommand(t, 80, 24, c.command)
			if c.command == "cat" || c.command == "sh" {
				s.view("tok", 80, 24)
				s.waitViewers(1)
			}
			c.end(t, s)
			s.sharer.WaitText("ended " + c.status)
			s.sharer.Run("stty -a | tr ' ;' '\\n\\n' | grep -xE -- '-?(icanon|echo|isig|opost)' | tr '\\n' ' '")
			s.sharer.WaitText("isig icanon echo")
			termtest.Wait(t, func() error {
				if got, want := s.sharer.Modes(), "alternate=0 cursor=1 insert=0 keypad=0 cursorkeys=0 mouse=0 sgr=0 origin=0 region=0-23 wrap=1"; got != want {
					return fmt.Errorf("got %s, want %s", got, want)
				}
				return nil
			})
		})
	}
}

// A sharer that is suspended restores its terminal. After fg it shows the shared one
// again, complete.
func TestTTYShareSuspended(t *testing.T) {
	t.Parallel()
	s := share(t, 80, 24)
	v := s.view("tok.control", 80, 24)
	v.WaitText("shared 42")
	s.sharer.Run(`printf '\033[?1003;1006h\033[?1h\033[31mred\033[m\n'`)
	s.sharer.WaitText("red\nPROMPT>")
	want := state(s.sharer)
	s.kill(syscall.SIGTSTP)
	s.sharer.WaitText("topped")
	const sane = "alternate=0 cursor=1 insert=0 keypad=0 cursorkeys=0 mouse=0 sgr=0 origin=0 region=0-23 wrap=1"
	if got := s.sharer.Modes(); got != sane {
		t.Errorf("suspended: got %s, want %s", got, sane)
	}
	s.sharer.Run("clear; stty -a | tr ' ;' '\\n\\n' | grep -xE -- '-?(icanon|echo|isig|opost)' | tr '\\n' ' '")
	s.sharer.WaitText("isig icanon echo")
	s.sharer.Run("fg")
	termtest.Wait(t, func() error {
		if got := state(s.sharer); got != want {
			return fmt.Errorf("after fg: got\n%s\nwant\n%s", got, want)
		}
		return nil
	})
	wantSame(t, "after fg", s.sharer, v)
	v.Run("echo on $((40+2))")
	s.sharer.WaitText("on 42")
	wantSame(t, "typed after fg", s.sharer, v)
}

// When a sharer is killed, its command ends too, and its viewers report that.
func TestTTYShareKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sharer := begin(t, dir, nil, "mesh-tty", "--share", "--headless", "--listen", "127.0.0.1:0", "--token-file", "tok", "--audit", "audit",
		"--", "sh", "-c", "trap 'echo hup >hup; exit' HUP; while :; do sleep 0.1; done")
	await(t, filepath.Join(dir, "tok"))
	viewer := begin(t, dir, nil, "mesh-tty", "--raw", "@tok")
	poll(t, "a viewer", func() bool {
		audit, _ := os.ReadFile(filepath.Join(dir, "audit"))
		return bytes.Contains(audit, []byte(`"join"`))
	})
	_ = sharer.Process.Kill()
	killed := time.Now()
	if got := viewer.code(t); got != proto.Truncated {
		t.Errorf("the viewer ended with %v, want %v", got, proto.Truncated)
	}
	if got, most := time.Since(killed), 9*time.Second; got > most && !raceDetector {
		t.Errorf("the viewer ended after %v, want at most %v", got, most)
	}
	if got, want := viewer.stderr.String(), "mesh-tty: error: the peer's process is gone\n"; got != want {
		t.Errorf("the viewer said %q, want %q", got, want)
	}
	await(t, filepath.Join(dir, "hup"))
}

// pid returns the number of the sharer's process.
func (s *shared) pid() int {
	s.t.Helper()
	var pid int
	termtest.Wait(s.t, func() error {
		out, err := exec.Command("pgrep", "-P", s.sharer.Format("#{pane_pid}"), "-f", "share").Output()
		if err == nil {
			_, err = fmt.Sscan(string(out), &pid)
		}
		return err
	})
	return pid
}

func (s *shared) kill(sig syscall.Signal) {
	s.t.Helper()
	if err := syscall.Kill(s.pid(), sig); err != nil {
		s.t.Fatal(err)
	}
}

// waitViewers waits until there are n viewers.
func (s *shared) waitViewers(n int) {
	s.t.Helper()
	want := fmt.Sprintf("shared: %d viewers", n)
	if n == 1 {
		want = "shared: 1 viewer"
	}
	termtest.Wait(s.t, func() error {
		got, _, _ := strings.Cut(s.sharer.Format("#{pane_title}"), " (") // how many are smaller
		if got != want {
			return fmt.Errorf("the sharer's title is %q, want %q", got, want)
		}
		return nil
	})
}

// Keys and pastes of a viewer without the right to type have no effect. mesh-tty does
// not even send them.
func TestTTYReadOnly(t *testing.T) {
	t.Parallel()
	s := shareCommand(t, 80, 24, "cat -v")
	v := s.view("tok", 80, 24)
	s.waitViewers(1)
	v.Keys("a", "Enter", "Up", "C-l", "F1")
	v.Paste("pasted\nlines")
	v.Type("\x1b[<0;5;5M\x1b[<0;5;5m\x1b[?62;22c\x1b[1;1R\x1b]11;rgb:0/0/0\x07")
	s.sharer.Run("sharer")
	v.WaitText("sharer")
	termtest.Wait(t, func() error {
		if got := strings.TrimSpace(s.sharer.Text()); got != "sharer\nsharer" {
			return fmt.Errorf("the sharer sees %q", got)
		}
		return nil
	})
}

// With the second token a viewer can type, and the sharer sees which one does.
func TestTTYControl(t *testing.T) {
	t.Parallel()
	s := share(t, 80, 24, "--name", "demo")
	p := s.view("tok.control", 80, 24, "--as", "eve")
	s.waitViewers(1)
	p.WaitText("shared 42")
	p.Run("echo $((6*7))")
	s.sharer.WaitText("42")
	termtest.Wait(t, func() error {
		if got := s.sharer.Format("#{pane_title}"); !strings.Contains(got, "typing: eve (mk1") {
			return fmt.Errorf("the sharer's title is %q", got)
		}
		return nil
	})
	wantSame(t, "typed", s.sharer, p)
	s.sharer.Run("mesh-tty ctl revoke && echo $((600+60))")
	s.sharer.WaitText("660")
	p.Type("echo nothing; exit\r")
	s.sharer.Run("echo $((700+77))")
	wantSame(t, "revoked", s.sharer, p)
	s.sharer.WaitText("777")
	if got := s.sharer.Text(); strings.Contains(got, "nothing") {
		t.Errorf("typed after it was revoked:\n%s", got)
	}
	s.sharer.Run("mesh-tty ctl kick 9")
	s.sharer.WaitText("no viewer is called 9")
	s.sharer.WaitText("hint: VIEWER is the number or the name")
	s.sharer.Run("mesh-tty ctl kick 1; mesh-tty ctl list | wc -l")
	p.WaitText("23 (declined)")
	p.WaitText("hint: the sharer has disconnected this node")
	p.Run("echo status $?")
	p.WaitText("status 23")
}

// A viewer whose token only allows viewing asks for the right to type. It types once the
// sharer grants that, and no longer after the sharer has revoked it.
func TestTTYGrant(t *testing.T) {
	t.Parallel()
	s := share(t, 100, 24)
	v := s.view("tok", 100, 24, "--as", "eve")
	s.waitViewers(1)
	v.WaitText("shared 42")
	v.Type("~r")
	v.WaitText("the sharer is asked to let you type")
	termtest.Wait(t, func() error {
		if got := s.sharer.Format("#{pane_title} bell #{window_bell_flag}"); !strings.Contains(got, "asks to type: 1 eve (mk1") {
			return fmt.Errorf("the sharer's title is %q", got)
		}
		return nil
	})
	s.sharer.Run("clear; mesh-tty ctl list | cut -f 1,3,9,10 | tr '\\t' ' '; mesh-tty ctl grant 1; echo granted $?")
	s.sharer.WaitText("1 tty:view 100x24 asks")
	s.sharer.WaitText("granted 0")
	v.WaitText("you may type here now")
	v.Run("clear; echo $((6*7))")
	s.sharer.WaitText("42")
	s.sharer.Run("mesh-tty ctl revoke 1; echo revoked $?")
	v.WaitText("you may not type here any more")
	v.Type("echo no$((1+1))thing\r")
	s.sharer.Run("echo $((700+77))")
	s.sharer.WaitText("777")
	if got := s.sharer.Text(); strings.Contains(got, "no2thing") || !strings.Contains(got, "revoked 0") {
		t.Errorf("typed after it was revoked:\n%s", got)
	}
}

// A shared terminal of another size is drawn on the sharer's own: a smaller one with an
// edge, a larger one cropped around the cursor. In the end the own terminal is restored.
func TestTTYOtherSize(t *testing.T) {
	t.Parallel()
	s := share(t, 100, 24, "--size", "writer")
	before := s.sharer.Modes()
	v := s.view("tok.control", 60, 10)
	s.waitViewers(1)
	v.WaitText("shared 42")
	v.Run("clear; stty size; printf '\\033[10;55H123456'; read x")
	s.sharer.WaitText("10 60")
	termtest.Wait(t, func() error {
		lines := strings.Split(s.sharer.Text(), "\n")
		if len(lines) < 11 || lines[0] != "10 60"+strings.Repeat(" ", 55)+"│" || !strings.HasSuffix(lines[9], "123456│") || !strings.HasPrefix(lines[10], "───") {
			return fmt.Errorf("the sharer sees\n%s", strings.Join(lines, "\n"))
		}
		return nil
	})
	s.sharer.WaitText("shared: 1 viewer")
	v.Resize(120, 40)
	s.sharer.Keys("Enter") // who types has the size
	s.sharer.Run("clear; stty size; echo $TERM; printf '\\033[?1h\\033[?1000h\\033[?1006h'; read x")
	s.sharer.WaitText("24 100\nxterm-256color")
	termtest.Wait(t, func() error {
		if got, want := s.sharer.Modes(), "alternate=1 cursor=1 insert=0 keypad=0 cursorkeys=1 mouse=1 sgr=1 origin=0 region=0-23 wrap=0"; got != want {
			return fmt.Errorf("got modes  %s\nwant modes %s", got, want)
		}
		return nil
	})
	s.sharer.Keys("Enter")
	v.Run("stty size; seq 38")
	s.sharer.WaitText("\n38\n") // not that of the command line
	if got := s.sharer.Text(); strings.Contains(got, "40 120") {
		t.Errorf("24 lines show 40:\n%s", got)
	}
	s.sharer.Resize(130, 45)
	s.sharer.WaitText("40 120")
	s.sharer.Run("exit 5")
	termtest.Wait(t, func() error { // tmux may have put the cursor elsewhere when it resized the main screen
		if got := s.sharer.Text(); !strings.Contains(strings.ReplaceAll(got, "\n", ""), "ended 5") {
			return fmt.Errorf("the sharer sees\n%s", got)
		}
		return nil
	})
	termtest.Wait(t, func() error {
		if got := s.sharer.Modes(); got != strings.Replace(before, "alternate=1", "alternate=0", 1) && !strings.HasPrefix(got, "alternate=0 cursor=1 insert=0 keypad=0 cursorkeys=0 mouse=0 sgr=0 origin=0") {
			return fmt.Errorf("got modes %s, want those before", got)
		}
		return nil
	})
	s.sharer.Run("echo sane $((1+1))")
	s.sharer.WaitText("sane 2")
}
