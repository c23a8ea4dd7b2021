//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mesh/pipe/term/termtest"
	"mesh/pipe/term/vt"
)

// terminals is a shared terminal, and those who view it, each a pane of its own.
type terminals struct {
	t      *testing.T
	dir    string
	tool   string
	sharer *termtest.Pane
}

// shareIn starts a shell in a pane and shares the command in it.
func shareIn(t *testing.T, cols, rows int, flags string, command string) *terminals {
	t.Helper()
	tool, err := exec.LookPath("mesh-tty")
	if err != nil {
		t.Fatal(err)
	}
	s := &terminals{t: t, dir: t.TempDir(), tool: tool}
	s.sharer = termtest.Shell(t, "bash", cols, rows, s.env()...)
	s.sharer.Run(fmt.Sprintf("cd %s; clear; mesh-tty --share --listen 127.0.0.1:0 --token-file token %s -- %s", s.dir, flags, command))
	termtest.Wait(t, func() error {
		_, err := os.Stat(filepath.Join(s.dir, "token"))
		return err
	})
	return s
}

func (s *terminals) env() []string {
	return []string{"MESH_HOME=" + filepath.Join(s.dir, "home"), "HOME=" + s.dir, "PATH=" + filepath.Dir(s.tool) + ":/usr/bin:/bin:/usr/sbin", "LC_ALL=C.UTF-8"}
}

// view starts a shell in a pane of its own, and views in it.
func (s *terminals) view(cols, rows int, flags string) *termtest.Pane {
	s.t.Helper()
	p := termtest.Shell(s.t, "bash", cols, rows, s.env()...)
	p.Run("clear; mesh-tty " + flags + " @" + filepath.Join(s.dir, "token"))
	return p
}

// same waits until a viewer's pane shows what the sharer's does, with colours and
// cursor.
func (s *terminals) same(when string, viewers ...*termtest.Pane) {
	s.t.Helper()
	const cursor = "#{?cursor_flag,#{cursor_x}:#{cursor_y},hidden}"
	for i, v := range viewers {
		termtest.Wait(s.t, func() error {
			want, got := looks(s.sharer.Screen()), looks(v.Screen())
			for y := range want {
				if got[y] != want[y] {
					return fmt.Errorf("%s: viewer %d shows\n%s\nand the sharer\n%s\nline %d is\n%s\nwant\n%s", when, i, v.Text(), s.sharer.Text(), y, got[y], want[y])
				}
			}
			if want, got := s.sharer.Format(cursor), v.Format(cursor); got != want {
				return fmt.Errorf("%s: viewer %d has its cursor at %s, the sharer at %s", when, i, got, want)
			}
			return nil
		})
	}
}

// looks returns what each line of a captured screen looks like: tmux also tells
// which colour blanks would have if they were text.
func looks(screen string) []string {
	const cols, rows = 200, 60
	t := vt.New(cols, rows, 0)
	_, _ = t.Write([]byte(strings.ReplaceAll(screen, "\n", "\r\n")))
	lines := make([]string, rows)
	for y := range lines {
		for _, c := range t.Line(y) {
			if c.Text == " " && c.Style.Attr&(vt.Inverse|vt.Strike|vt.Overline) == 0 && c.Style.Underline == 0 {
				c.Style = vt.Style{Bg: c.Style.Bg}
			}
			lines[y] += c.Text
			if c.Style != (vt.Style{}) {
				lines[y] += fmt.Sprintf("%+v", c.Style)
			}
		}
	}
	return lines
}

// Who joins late sees what the sharer sees, and goes on seeing it.
func TestTTYLateJoin(t *testing.T) {
	t.Parallel()
	source, err := filepath.Abs("main.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, command string
		begin         []string // keys before somebody joins
		ready         string   // is on the screen then
		keys          []string // what is pressed at random after that
	}{
		{
			"vim", "vim -n -u NONE -c 'syntax on' -c 'set hlsearch number' " + source,
			[]string{":split", "Enter", "/func", "Enter", "j", "j"}, "package main",
			[]string{"j", "k", "l", "w", "C-d", "C-u", "n", "x", "u", "C-w", "i", "a", "Escape", "g", "G", "Tab"},
		},
		{"less", "less -N " + source, []string{"/mesh", "Enter"}, "mesh", []string{"j", "k", "Space", "b", "g", "G", "n", "N", "d", "u"}},
		{"htop", "htop -d 100", []string{"F5"}, "PID", []string{"Up", "Down", "PageDown", "PageUp", "F6", "Escape"}},
		{"top", "top -d 100", []string{"z"}, "PID", []string{"Up", "Down", "x", "z", "c"}},
		{"mc", "mc --nosubshell", []string{"Down", "F9"}, "Name", []string{"Up", "Down", "Left", "Right", "Tab", "F9", "Escape", "Home", "End"}},
		{
			"log", `sh -c 'for i in $(seq 200); do printf "\033[1;3%dm%d\033[0m \033[48;5;%dm世界 é\033[m\n" $((i%8)) $i $((i%256)); done; cat'`,
			nil, "200", []string{"a", "é", "Enter"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if word, _, _ := strings.Cut(c.command, " "); word != "sh" {
				if _, err := exec.LookPath(word); err != nil {
					t.Skipf("no %s here", word)
				}
			}
			s := shareIn(t, 120, 40, "", c.command)
			s.sharer.WaitText(c.ready)
			if c.begin != nil {
				s.sharer.Keys(c.begin...)
			}
			time.Sleep(200 * time.Millisecond) // so that it is late, in some state or other
			viewers := []*termtest.Pane{s.view(120, 40, ""), s.view(120, 40, "")}
			s.same("joined late", viewers...)
			seed := uint64(len(c.name))
			pick := rand.New(rand.NewPCG(seed, seed))
			for i := range 200 {
				s.sharer.Keys(c.keys[pick.IntN(len(c.keys))])
				if i%20 == 19 {
					s.same(fmt.Sprintf("key %d", i+1), viewers...)
				}
			}
		})
	}
}

// The sharer's tool ends with the command's status, and the terminal is as it was
// after every end that the tool can see.
func TestTTYShareEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, command string
		end           func(t *testing.T, s *terminals)
		status        string
	}{
		{"status", "sh -c 'exit 7'", func(*testing.T, *terminals) {}, "7"},
		{"signal", "sh -c 'kill -TERM $$'", func(*testing.T, *terminals) {}, "143"},
		{"left behind", `printf '\033[?1049h\033[?25l\033[?1000h\033[?2004h\033[31m'`, func(*testing.T, *terminals) {}, "0"},
		{"exit", "sh", func(_ *testing.T, s *terminals) { s.sharer.Run("exit 3") }, "3"},
		{"SIGTERM", "cat", func(t *testing.T, s *terminals) { s.kill(syscall.SIGTERM) }, "143"},
		{"SIGKILL", "cat", func(t *testing.T, s *terminals) { s.kill(syscall.SIGKILL) }, "137"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := shareIn(t, 80, 24, "", c.command)
			if c.command == "cat" || c.command == "sh" {
				s.sharer.WaitText("") // there
				s.view(80, 24, "").WaitText("")
				s.waitViewers(1)
			}
			c.end(t, s)
			s.sharer.WaitText("PROMPT>")
			s.sharer.Run("echo status $?; stty -a | tr ' ;' '\\n\\n' | grep -xE -- '-?(icanon|echo|isig|opost)' | tr '\\n' ' '")
			s.sharer.WaitText("status " + c.status)
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

// pid finds the sharer's process.
func (s *terminals) pid() int {
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

func (s *terminals) kill(sig syscall.Signal) {
	s.t.Helper()
	if err := syscall.Kill(s.pid(), sig); err != nil {
		s.t.Fatal(err)
	}
}

// waitViewers waits until so many view.
func (s *terminals) waitViewers(n int) {
	s.t.Helper()
	want := fmt.Sprintf("shared: %d viewers", n)
	if n == 1 {
		want = "shared: 1 viewer"
	}
	termtest.Wait(s.t, func() error {
		if got := s.sharer.Format("#{pane_title}"); got != want {
			return fmt.Errorf("the sharer's title is %q, want %q", got, want)
		}
		return nil
	})
}

// A viewer without the right to type types nothing, whatever it presses or pastes,
// and an ordinary viewer's tool does not even try.
func TestTTYReadOnly(t *testing.T) {
	t.Parallel()
	s := shareIn(t, 80, 24, "", "cat -v")
	v := s.view(80, 24, "")
	s.waitViewers(1)
	v.Keys("a", "Enter", "Up", "C-l", "F1")
	s.sharer.Run("sharer")
	v.WaitText("sharer")
	termtest.Wait(t, func() error {
		if got := strings.TrimSpace(s.sharer.Text()); got != "sharer\nsharer" {
			return fmt.Errorf("the sharer sees %q", got)
		}
		return nil
	})
}

// With the second token a viewer types, and the sharer sees who does.
func TestTTYControl(t *testing.T) {
	t.Parallel()
	s := shareIn(t, 80, 24, "--control --name demo", "bash --norc --noprofile")
	p := termtest.Shell(t, "bash", 80, 24, s.env()...)
	p.Run("clear; mesh-tty --name eve @" + filepath.Join(s.dir, "token.control"))
	s.waitViewers(1)
	p.Run("echo $((6*7))")
	s.sharer.WaitText("42")
	termtest.Wait(t, func() error {
		if got := s.sharer.Format("#{pane_title}"); !strings.Contains(got, "typing: eve (mk1") {
			return fmt.Errorf("the sharer's title is %q", got)
		}
		return nil
	})
	s.same("typed", p)
	s.sharer.Run("mesh-tty ctl revoke && echo $((600+60))")
	s.sharer.WaitText("660")
	p.Type("echo nothing; exit\r")
	s.sharer.Run("echo $((700+77))")
	s.same("revoked", p)
	s.sharer.WaitText("777")
	if got := s.sharer.Text(); strings.Contains(got, "nothing") {
		t.Errorf("typed after it was revoked:\n%s", got)
	}
	s.sharer.Run("mesh-tty ctl kick 1; mesh-tty ctl list | wc -l")
	p.WaitText("23 (declined)")
	p.Run("echo status $?")
	p.WaitText("status 23")
}
