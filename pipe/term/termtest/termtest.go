// Package termtest gives tests real terminals: panes of a tmux server of their own.
package termtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"mesh/pipe/term/vt"
)

// Limit bounds every wait. Only a test that fails reaches it.
const Limit = 20 * time.Second

// Pane is a terminal in which a command runs.
type Pane struct {
	t      testing.TB
	socket string
}

// New starts a tmux server with one pane of the given size, which runs the command with
// the variables env ("NAME=value") added to its environment. The server ends with the
// test. Without tmux, the test is skipped.
func New(t testing.TB, cols, rows int, env []string, command ...string) *Pane {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("no tmux here")
	}
	dir, err := os.MkdirTemp("", "tmux") // a socket's name must be short
	if err != nil {
		t.Fatal(err)
	}
	p := &Pane{t: t, socket: filepath.Join(dir, "s")}
	t.Cleanup(func() {
		_ = exec.Command("tmux", "-S", p.socket, "kill-server").Run()
		_ = os.RemoveAll(dir)
	})
	config := filepath.Join(dir, "conf")
	if err := os.WriteFile(config, []byte("set -g status off\nset -g default-terminal tmux-256color\nset -g remain-on-exit on\nset -s escape-time 0\nset -s extended-keys on\nset -s set-clipboard on\nset -g history-limit 5000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-f", config, "new-session", "-d", "-x", strconv.Itoa(cols), "-y", strconv.Itoa(rows), "--", "env", "-u", "TMUX", "-u", "TMUX_PANE"}
	args = append(append(args, env...), command...)
	p.tmux(args...)
	return p
}

// Shell starts a pane with a shell whose prompt is [Prompt], and waits for the prompt.
func Shell(t testing.TB, shell string, cols, rows int, env ...string) *Pane {
	t.Helper()
	path, err := exec.LookPath(shell)
	if err != nil {
		t.Skipf("no %s here", shell)
	}
	args := []string{path}
	if filepath.Base(path) == "bash" {
		args = append(args, "--norc", "--noprofile")
	}
	p := New(t, cols, rows, append([]string{"PS1=" + Prompt, "ENV=", "HISTFILE=/dev/null"}, env...), append(args, "-i")...)
	p.WaitText("PROMPT>")
	return p
}

// Prompt is the prompt of a shell of [Shell].
const Prompt = "PROMPT> "

func (p *Pane) tmux(args ...string) string {
	p.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-u", "-S", p.socket}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TMUX=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("tmux %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimRight(string(out), "\n")
}

// Type types text literally.
func (p *Pane) Type(text string) { p.t.Helper(); p.tmux("send-keys", "-l", "--", text) }

// Keys types keys by their tmux names, for example Enter, C-z, Up.
func (p *Pane) Keys(names ...string) {
	p.t.Helper()
	p.tmux(append([]string{"send-keys"}, names...)...)
}

// Bytes types raw bytes, for keys that tmux does not know.
func (p *Pane) Bytes(b string) {
	p.t.Helper()
	args := []string{"send-keys", "-H"}
	for i := range len(b) {
		args = append(args, strconv.FormatUint(uint64(b[i]), 16))
	}
	p.tmux(args...)
}

// Run types a command line and Enter.
func (p *Pane) Run(line string) { p.t.Helper(); p.Type(line); p.Keys("Enter") }

// Clipboard returns the text that a program has put into the clipboard last; "" for none.
func (p *Pane) Clipboard() string {
	p.t.Helper()
	if p.tmux("list-buffers") == "" {
		return ""
	}
	return p.tmux("show-buffer")
}

// Paste pastes text as tmux does: newlines become carriage returns, and the text is
// bracketed if the program has set that mode.
func (p *Pane) Paste(text string) {
	p.t.Helper()
	p.tmux("set-buffer", "--", text)
	p.tmux("paste-buffer", "-p")
}

// PasteFile pastes a file, as [Pane.Paste] does.
func (p *Pane) PasteFile(file string) {
	p.t.Helper()
	p.tmux("load-buffer", file)
	p.tmux("paste-buffer", "-p")
}

// PipeTo copies the raw output of the pane to a file from now on.
func (p *Pane) PipeTo(file string) {
	p.t.Helper()
	p.tmux("pipe-pane", "-O", "exec cat >>'"+file+"'")
}

// Resize changes the pane's size.
func (p *Pane) Resize(cols, rows int) {
	p.t.Helper()
	p.tmux("resize-window", "-x", strconv.Itoa(cols), "-y", strconv.Itoa(rows))
}

// Text returns the screen as text.
func (p *Pane) Text() string { p.t.Helper(); return p.tmux("capture-pane", "-p") }

// Screen returns the screen with its colours, as escape sequences.
func (p *Pane) Screen() string { p.t.Helper(); return p.tmux("capture-pane", "-p", "-e") }

// Look returns the visible screen with its colours. It is equal for two panes that look
// the same; [Pane.Screen] also shows whether a blank was written or erased.
func (p *Pane) Look() string {
	p.t.Helper()
	screen := strings.Split(p.Screen(), "\n")
	t := vt.New(vt.MaxCols, len(screen), 0)
	_, _ = t.Write([]byte(strings.Join(screen, "\r\n")))
	var b strings.Builder
	for y := range screen {
		line := t.Line(y)
		for i, c := range line { // on a blank, only these attributes are visible
			if c.Text == " " {
				line[i].Style = vt.Style{Bg: c.Style.Bg, Underline: c.Style.Underline, Attr: c.Style.Attr & (vt.Inverse | vt.Strike | vt.Overline)}
				if line[i].Style != (vt.Style{Bg: c.Style.Bg}) {
					line[i].Style.Fg, line[i].Style.LineColor = c.Style.Fg, c.Style.LineColor
				}
			}
		}
		for len(line) > 0 && line[len(line)-1].Text == " " && line[len(line)-1].Style == (vt.Style{}) {
			line = line[:len(line)-1]
		}
		var style vt.Style
		for _, c := range line {
			if c.Style != style {
				style = c.Style
				fmt.Fprintf(&b, "%+v", style)
			}
			b.WriteString(c.Text)
		}
		b.WriteByte('\n')
	}
	return strings.TrimRight(b.String(), "\n")
}

// Format returns tmux's expansion of a format, for example "#{cursor_x}".
func (p *Pane) Format(format string) string {
	p.t.Helper()
	return p.tmux("display-message", "-p", format)
}

// Modes returns the modes of the terminal that a program can leave set.
func (p *Pane) Modes() string {
	p.t.Helper()
	return p.Format("alternate=#{alternate_on} cursor=#{cursor_flag} insert=#{insert_flag} keypad=#{keypad_flag}" +
		" cursorkeys=#{keypad_cursor_flag} mouse=#{mouse_any_flag} sgr=#{mouse_sgr_flag} origin=#{origin_flag}" +
		" region=#{scroll_region_upper}-#{scroll_region_lower} wrap=#{wrap_flag}")
}

// TTY opens the terminal's device.
func (p *Pane) TTY() *os.File {
	p.t.Helper()
	f, err := os.OpenFile(p.Format("#{pane_tty}"), os.O_RDWR, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = f.Close() })
	return f
}

// WaitText waits until the screen contains the text.
func (p *Pane) WaitText(text string) {
	p.t.Helper()
	Wait(p.t, func() error {
		if got := p.Text(); !strings.Contains(got, text) {
			return fmt.Errorf("the screen lacks %q:\n%s", text, got)
		}
		return nil
	})
}

// WaitShell waits until a shell executes commands. It types its command repeatedly: keys
// may be lost while the tool runs or the terminal is in raw mode.
func (p *Pane) WaitShell() {
	p.t.Helper()
	tries := 0
	Wait(p.t, func() error {
		if got := p.Text(); !strings.Contains(got, "sane 42") {
			if tries++; tries%30 == 1 {
				p.Run("echo sane $((40+2))")
			}
			return fmt.Errorf("the shell executes no commands:\n%s", got)
		}
		return nil
	})
}

// Wait calls ask until it returns nil.
func Wait(t testing.TB, ask func() error) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(Limit)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-tick.C
	}
}
