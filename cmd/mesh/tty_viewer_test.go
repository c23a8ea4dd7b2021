//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mesh/pipe/term/termtest"
)

// modes are the modes of the terminal that viewers with the right to type share.
func modes(p *termtest.Pane) string {
	return p.Format("cursor #{cursor_flag} mouse #{mouse_any_flag} #{mouse_button_flag} #{mouse_sgr_flag} keypad #{keypad_flag} #{keypad_cursor_flag}")
}

// Keys of a viewer have the same effect as keys of the sharer, and both see the same.
func TestTTYViewerTypes(t *testing.T) {
	t.Parallel()
	source, err := filepath.Abs("main.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, command, ready string
		keys                 []string
	}{
		{"vim", "vim -n -u NONE -c 'set mouse=a hlsearch' " + source, "package main", []string{"j", "C-f", "C-b", "w", "i", "x", "Escape", "u", "o", "Up", "F1", "Escape", ":q", "Enter"}},
		{"mc", "mc --nosubshell", "Name", []string{"Down", "Up", "Tab", "End", "Home", "F9", "Right", "Escape", "Escape"}},
		{"bash", "bash --norc --noprofile", "PROMPT>", []string{"e", "c", "h", "o", "Space", "~", "~", "BSpace", "Left", "C-a", "C-e", "Enter", "Up", "C-c"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(c.name); err != nil {
				t.Skipf("no %s here", c.name)
			}
			s := shareCommand(t, 120, 40, c.command)
			s.sharer.WaitText(c.ready)
			v := s.view("tok.control", 120, 40)
			wantSame(t, "joined", s.sharer, v)
			for i := range 10 * len(c.keys) {
				v.Keys(c.keys[i%len(c.keys)])
				if i%len(c.keys) != len(c.keys)-1 {
					continue
				}
				wantSame(t, fmt.Sprintf("key %d", i+1), s.sharer, v)
			}
		})
	}
}

// A viewer that joins late can read earlier output. New output does not scroll it away.
func TestTTYScrollback(t *testing.T) {
	t.Parallel()
	s := shareCommand(t, 80, 24, "sh -c 'seq 2000; exec cat'")
	s.sharer.WaitText("\n2000")
	v := s.view("tok", 80, 24)
	v.WaitText("\n2000")
	top := func(want string) {
		t.Helper()
		termtest.Wait(t, func() error {
			if got, _, _ := strings.Cut(v.Text(), "\n"); got != want {
				return fmt.Errorf("got %q at the top, want %q", got, want)
			}
			return nil
		})
	}
	top("1978")
	v.Keys("PPage")
	top("1955")
	s.sharer.Type("more")
	s.sharer.Keys("Enter")
	s.sharer.WaitText("more\nmore")
	top("1955")
	v.Keys("Home")
	top("978")
	v.Keys("f")
	v.WaitText("more\nmore")
}

// Keys that need a keyboard protocol arrive from a viewer as from the sharer. ~. still
// leaves the view, and then the protocol is off in the viewer's terminal.
func TestTTYKeyProtocols(t *testing.T) {
	t.Parallel()
	s := shareCommand(t, 80, 24, `sh -c 'printf "\033[>4;2mready\n"; stty -icanon; exec cat >/dev/null'`)
	s.sharer.WaitText("ready")
	p := s.pane("dash", 80, 24)
	p.Run("clear; mesh-tty @tok.control")
	p.WaitText("ready")
	s.sharer.Keys("S-Enter", "C-Enter")
	s.sharer.WaitText("^[[13;2u^[[13;5u")
	p.Keys("S-Enter", "C-Enter")
	s.sharer.WaitText("^[[13;2u^[[13;5u^[[13;2u^[[13;5u")
	p.Keys("Enter")
	p.Bytes("\x1b[27;2;126~\x1b[27;1;46~") // ~. as xterm has it
	p.WaitShell()
	p.Run("clear; echo cat $((40+2)); cat")
	p.WaitText("cat 42") // keys typed earlier would be cleared from the screen
	p.Keys("S-Enter")    // tmux, which cannot tell it then, types its name
	p.Run("plain")
	termtest.Wait(t, func() error {
		if got := p.Text(); strings.Count(got, "plain") != 2 {
			return fmt.Errorf("cat does not say it again:\n%s", got)
		}
		return nil
	})
	if got := p.Text(); strings.Contains(got, "13;2u") {
		t.Errorf("the protocol is still on:\n%s", got)
	}
}

// A viewer with a smaller or larger terminal sees what fits, and changes nothing for the
// sharer.
func TestTTYSizes(t *testing.T) {
	t.Parallel()
	s := shareCommand(t, 120, 40, `sh -c 'for i in $(seq 40); do printf "\033[$i;1H\033[3$((i%8))m"; seq -s " " $i 200 | cut -c1-120 | tr -d "\n"; done; printf "\033[H"; exec cat'`)
	s.sharer.WaitText("\n40 41")
	want := strings.Split(s.sharer.Text(), "\n")
	history := s.sharer.Format("#{history_size}")
	for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 60}, {100, 60}, {200, 30}} {
		cols, rows := size[0], size[1]
		v := s.view("tok.control", cols, rows)
		visible := min(rows, 40)
		if rows < 40 {
			visible-- // the status line
		}
		termtest.Wait(t, func() error {
			got := strings.Split(v.Text(), "\n")
			for y := range visible {
				line := fmt.Sprintf("%-120s", want[y])[:min(cols, 120)]
				if cols > 120 {
					line += "│"
				}
				if y >= len(got) || got[y] != strings.TrimRight(line, " ") {
					return fmt.Errorf("%dx%d: line %d is not %q:\n%s", cols, rows, y, line, v.Text())
				}
			}
			return nil
		})
		v.Keys("Enter")
		v.Type("~.")
		v.WaitText("PROMPT>")
		want = strings.Split(s.sharer.Text(), "\n") // it has been typed at
	}
	if got := s.sharer.Format("#{history_size}"); got != history {
		t.Errorf("the sharer has %s lines of history, want %s", got, history)
	}
	if got := s.sharer.Format("#{pane_width}x#{pane_height}"); got != "120x40" {
		t.Errorf("the sharer's terminal is %s", got)
	}
	if got := strings.Split(s.sharer.Text(), "\n"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the sharer's screen has changed:\n%s", s.sharer.Text())
	}
}

// With --size writer the first command that a viewer types runs at that viewer's size.
func TestTTYWriterSize(t *testing.T) {
	t.Parallel()
	s := share(t, 120, 40, "--size", "writer")
	v := s.view("tok.control", 70, 21)
	v.WaitText("shared 42")
	v.Run("stty size")
	v.WaitText("stty size\n21 70")
	s.sharer.Run("stty size")
	s.sharer.WaitText("stty size\n40 120")
}

// A viewer that is killed or suspended leaves its terminal restored, and does not affect
// the other viewers.
func TestTTYViewerEnds(t *testing.T) {
	t.Parallel()
	s := shareCommand(t, 80, 24, "bash --norc --noprofile")
	s.sharer.Run(`printf '\033[?1003;1006h\033[?2004h\033[?1h\033[?25l'; clear; echo shown`)
	s.sharer.WaitText("shown")
	other := s.view("tok", 80, 24)
	other.WaitText("shown")
	for _, shell := range []string{"bash", "dash"} {
		for name, end := range map[string]func(p *termtest.Pane, pid int){
			"KILL":    func(_ *termtest.Pane, pid int) { _ = syscall.Kill(pid, syscall.SIGKILL) },
			"TERM":    func(_ *termtest.Pane, pid int) { _ = syscall.Kill(pid, syscall.SIGTERM) },
			"detach":  func(p *termtest.Pane, _ int) { p.Keys("Enter"); p.Type("~.") },
			"suspend": func(p *termtest.Pane, _ int) { p.Keys("Enter"); p.Type("~"); p.Keys("C-z") },
		} {
			p := s.pane(shell, 80, 24)
			p.Run("clear; mesh-tty @tok.control")
			p.WaitText("shown")
			termtest.Wait(t, func() error {
				if got := modes(p); got != modes(s.sharer) {
					return fmt.Errorf("the viewer's modes are %s", got)
				}
				return nil
			})
			var pid int
			termtest.Wait(t, func() error {
				out, err := exec.Command("pgrep", "-P", p.Format("#{pane_pid}"), "mesh-tty").Output()
				if err == nil {
					_, err = fmt.Sscan(string(out), &pid)
				}
				return err
			})
			end(p, pid)
			termtest.Wait(t, func() error {
				const want = "alternate=0 cursor=1 insert=0 keypad=0 cursorkeys=0 mouse=0 sgr=0 origin=0 region=0-23 wrap=1"
				if got := p.Modes(); got != want {
					return fmt.Errorf("%s in %s: got %s, want %s", name, shell, got, want)
				}
				return nil
			})
			p.WaitShell()
			p.Run("clear; stty -a | tr ' ;' '\\n\\n' | grep -xE -- '-?(icanon|echo|isig|opost)' | tr '\\n' ' '")
			p.WaitText("isig icanon echo")
			if name == "suspend" {
				p.Run("fg")
				p.WaitText("shown")
				p.Keys("Enter")
				p.Type("~.")
			}
		}
	}
	s.sharer.Run("echo on $((40+2))")
	other.WaitText("on 42")
}

// The status line shows that a link is broken. The view continues when the link resumes.
func TestTTYBrokenLink(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	s := &shared{t: t, dir: t.TempDir()}
	sharer := begin(t, s.dir, nil, "mesh-tty", "--share", "--headless", "--control", "--listen", "127.0.0.1:0", "--token-file", "tok", "--", "sh", "-c", "echo shown; exec cat")
	s.waitFile("tok.control")
	v := s.view("tok.control", 80, 24, "--events", "v")
	v.WaitText("shown")
	leaver := s.view("tok", 80, 24, "--events", "leaver")
	leaver.WaitText("shown")
	v.Run("before")
	v.WaitText("before\nbefore")
	if err := sharer.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	v.WaitText("the link is broken, waiting for it")
	v.Run("meanwhile")
	v.WaitText("10 bytes typed")
	leaver.WaitText("the link is broken, waiting for it")
	leaver.Type("~.") // the sharer cannot be told
	leaver.WaitText("PROMPT>")
	leaver.Run("echo status $?")
	leaver.WaitText("status 0")
	s.waitEvents("leaver", "peer broken end")
	if err := sharer.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	v.WaitText("meanwhile\nmeanwhile")
	s.waitEvents("v", "peer broken resumed")
	termtest.Wait(t, func() error {
		if got := v.Text(); strings.Contains(got, "broken") {
			return fmt.Errorf("the link is still broken:\n%s", got)
		}
		return nil
	})
	v.Run("after")
	v.WaitText("after\nafter")
	v.Keys("Enter")
	v.Type("~.")
	v.WaitText("PROMPT>")
	v.Run("echo status $?")
	v.WaitText("status 0")
}

// waitEvents waits until a file of --events has these events in this order. A link may come
// back over another path, which its event says, or over the same.
func (s *shared) waitEvents(file, want string) {
	s.t.Helper()
	termtest.Wait(s.t, func() error {
		lines, err := os.ReadFile(filepath.Join(s.dir, file))
		if err != nil {
			return err
		}
		var got []string
		for line := range strings.Lines(string(lines)) {
			var e struct{ Event string }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				return err
			}
			if e.Event != "path" {
				got = append(got, e.Event)
			}
		}
		if strings.Join(got, " ") != want {
			return fmt.Errorf("%s: got events %q, want %q", file, got, want)
		}
		return nil
	})
}

// The title of a viewer's terminal is the peer's name and the shared title, and is
// restored in the end. Links are shown. ~. leaves even if the terminal encodes all keys.
func TestTTYTitleLinkKeys(t *testing.T) {
	t.Parallel()
	s := shareCommand(t, 80, 24, `sh -c 'stty raw -echo; printf "\033]2;build\007\033]8;;https://example.org/x\033\\\\link\033]8;;\033\\\\ \033]8;;file:///x\033\\\\no\033]8;;\033\\\\\033[>9u"; exec cat -v'`)
	s.sharer.WaitText("link no")
	v := s.pane("bash", 80, 24)
	v.Run(`clear; printf '\033]2;mine\007'`)
	termtest.Wait(t, func() error {
		if got := v.Format("#{pane_title}"); got != "mine" {
			return fmt.Errorf("got title %q", got)
		}
		return nil
	})
	out := filepath.Join(s.dir, "written")
	v.PipeTo(out)
	v.Run("mesh-tty @tok.control")
	v.WaitText("link no")
	termtest.Wait(t, func() error {
		if got := v.Format("#{pane_title}"); !strings.HasSuffix(got, ": build") || strings.HasPrefix(got, ":") {
			return fmt.Errorf("got title %q", got)
		}
		written, err := os.ReadFile(out)
		if err != nil {
			return err
		}
		for _, want := range []string{";https://example.org/x\x1b\\", "link\x1b]8;;\x1b\\", "\x1b[=25;1u"} {
			if !strings.Contains(string(written), want) {
				return fmt.Errorf("the terminal did not get %q: %q", want, written)
			}
		}
		if strings.Contains(string(written), "file:") {
			return fmt.Errorf("the terminal got a link to a file: %q", written)
		}
		return nil
	})
	v.Type("\x1b[97;;97u")
	s.sharer.WaitText("^[[97u")
	v.Type("\x1b[13u\x1b[43;;126u\x1b[46;;46u") // Enter ~ .
	v.WaitText("PROMPT>")
	termtest.Wait(t, func() error {
		if got := v.Format("#{pane_title}"); got != "mine" {
			return fmt.Errorf("got title %q in the end", got)
		}
		return nil
	})
	s.sharer.WaitText("^[[97u^[[13u")
	if written, _ := os.ReadFile(out); !strings.Contains(string(written), "\x1b[<u") {
		t.Errorf("the keyboard's protocol is not reset: %q", written)
	}
}
