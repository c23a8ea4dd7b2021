//go:build linux

package view_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mesh/pipe/term"
	"mesh/pipe/term/console"
	"mesh/pipe/term/draw"
	"mesh/pipe/term/termtest"
	"mesh/pipe/term/view"
	"mesh/proto"
	"mesh/proto/wire"
)

// toolSocket makes the test binary a viewer of the sharer at that socket.
const toolSocket = "VIEW_TEST_SOCKET"

func TestMain(m *testing.M) {
	if console.IsRestorer(os.Args) {
		console.RunRestorer(os.Stdin, os.Stdout, os.Stderr)
		os.Exit(0)
	}
	if socket := os.Getenv(toolSocket); socket != "" {
		os.Exit(tool(socket))
	}
	os.Exit(m.Run())
}

// tool views as its arguments say, and returns an exit status.
func tool(socket string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	c, err := net.Dial("unix", socket)
	if err != nil {
		return 1
	}
	o := view.Options{Form: view.Screen, Out: os.Stdout, In: os.Stdin, Escape: '~', Session: os.Getenv("VIEW_TEST_SESSION")}
	broken := make(chan bool)
	for _, arg := range os.Args[1:] {
		switch arg {
		case "raw":
			o.Form, o.In = view.Raw, nil
		case "clipboard":
			o.Copy = func(selections, text string) string { return term.CopySequence(selections, text, os.Getenv) }
		case "other-sequence":
			o.Copy = func(selections, text string) string { return term.CopySequence(selections, "other "+text, os.Getenv) }
		case "read-only":
			o.ReadOnly = true
		case "broken":
			o.Broken = broken
			lost := make(chan os.Signal, 1)
			signal.Notify(lost, syscall.SIGUSR1, syscall.SIGUSR2)
			go func() {
				for s := range lost {
					broken <- s == syscall.SIGUSR1
				}
			}()
		}
	}
	end, err := view.Run(ctx, c, halfCloser{c.(*net.UnixConn)}, o)
	fmt.Printf("ended exited=%v code=%d error=%s\n", end.Exited, end.Code, proto.CodeOf(err))
	return int(proto.CodeOf(err))
}

// halfCloser ends the writing half of a connection.
type halfCloser struct{ *net.UnixConn }

func (h halfCloser) Close() error { return h.CloseWrite() }

// seen is a viewer in a pane of tmux, and its sharer.
type seen struct {
	*sharer
	*termtest.Pane
	pid   int
	modes string // of the terminal before
}

func see(t *testing.T, shell string, cols, rows int, env []string, args ...string) *seen {
	t.Helper()
	dir, err := os.MkdirTemp("", "view") // a socket's name must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	name := filepath.Join(dir, "s")
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := termtest.Shell(t, shell, cols, rows, append(env, toolSocket+"="+name, "V="+exe)...)
	s := &seen{Pane: p, modes: p.Modes()}
	p.Run("clear; $V " + strings.Join(args, " "))
	_ = l.(*net.UnixListener).SetDeadline(time.Now().Add(limit))
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s.pid = peerOf(t, c.(*net.UnixConn))
	s.sharer = newSharer(t, c, halfCloser{c.(*net.UnixConn)})
	t.Cleanup(func() {
		_ = c.Close()
		<-s.done
	})
	return s
}

// wantSane waits until the terminal is restored and the shell accepts commands.
func (s *seen) wantSane(text string) {
	s.t.Helper()
	if text != "" {
		s.WaitText(text)
	}
	termtest.Wait(s.t, func() error {
		if got := s.Modes(); got != s.modes {
			return fmt.Errorf("got modes %s\nwant      %s", got, s.modes)
		}
		return nil
	})
	s.WaitShell()
	s.Run("stty -a")
	s.WaitText("extproc")
	words := strings.Fields(s.Text())
	for _, mode := range []string{"isig", "icanon", "echo", "icrnl", "opost"} {
		if !slices.Contains(words, mode) {
			s.t.Errorf("stty lacks %q: %q", mode, words)
		}
	}
}

// wantScreen waits until the pane shows what a terminal of its size would show.
func (s *seen) wantScreen(lines ...string) {
	s.t.Helper()
	termtest.Wait(s.t, func() error {
		if got, want := s.Text(), strings.Join(lines, "\n"); strings.TrimRight(got, "\n") != want {
			return fmt.Errorf("got\n%s\nwant\n%s", got, want)
		}
		return nil
	})
}

const everything = "\x1b[?1003;1006h\x1b[?2004h\x1b[?1004h\x1b[?1h\x1b=\x1b[?25l\x1b[31m"

// The terminal is restored after each way to end.
func TestEnds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		ends func(s *seen)
		says string
	}{
		"exit": {func(s *seen) { s.exit(7) }, "ended exited=true code=7 error=ok"},
		"detach": {func(s *seen) {
			s.Keys("Enter")
			s.Type("~.")
			s.wait("the viewer's end", func() bool { return s.err != nil })
			_ = s.w.Close()
		}, "ended exited=false code=0 error=ok"},
		"detach in silence": {func(s *seen) { s.Type("~.") }, "ended exited=false code=0 error=truncated"},
		"a bad sharer":      {func(s *seen) { s.frame([]byte{0, 0, 0, 0, 0}) }, "error=protocol"},
		"a cut":             {func(s *seen) { _ = s.w.Close() }, "error=truncated"},
		"TERM":              {func(s *seen) { s.kill(syscall.SIGTERM) }, "error="},
		"HUP":               {func(s *seen) { s.kill(syscall.SIGHUP) }, "error="},
		"QUIT":              {func(s *seen) { s.kill(syscall.SIGQUIT) }, ""},
		"KILL":              {func(s *seen) { s.kill(syscall.SIGKILL) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, shell := range []string{"bash", "dash"} {
				t.Run(shell, func(t *testing.T) {
					t.Parallel()
					s := see(t, shell, 80, 24, nil)
					s.session(mayType, 80, 24)
					s.snapshot(80, 24, everything+"\x1b[Hhello")
					s.WaitText("hello")
					s.waitAcked()
					if s.Modes() == s.modes {
						t.Fatalf("the viewer has changed no mode: %s", s.modes)
					}
					tt.ends(s)
					s.wantSane(tt.says)
				})
			}
		})
	}
}

func (s *seen) kill(sig syscall.Signal) {
	s.t.Helper()
	if err := syscall.Kill(s.pid, sig); err != nil {
		s.t.Fatal(err)
	}
}

// With Copy, and only then, a shared program sets the clipboard of the viewer's
// terminal, and the viewer says so. None can read it. The sequence is
// that of Copy.
func TestClipboard(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, want string }{{"clipboard", "text 日"}, {"other-sequence", "other text 日"}, {"", ""}} {
		t.Run("options "+tt.args, func(t *testing.T) {
			t.Parallel()
			s := see(t, "dash", 80, 24, nil, tt.args)
			s.session(mayType, 80, 24)
			s.snapshot(80, 24, "$ ")
			s.output("\x1b]52;c;" + base64.StdEncoding.EncodeToString([]byte("text 日")) + "\a\x1b]52;c;?\aafter")
			s.WaitText("after")
			if tt.args != "" {
				s.WaitText("the shared terminal has set the clipboard (8 bytes)")
			}
			if got := s.Clipboard(); got != tt.want {
				t.Errorf("the clipboard has %q, want %q", got, tt.want)
			}
			s.Type("x")
			s.waitTyped("x") // no reply came before
			s.exit(0)
			s.wantSane("exited=true")
		})
	}
}

// The viewer's cursor gets the colour of the shared one, and its own one back at each end.
// A cursor that was not coloured is left alone.
func TestCursorColor(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		color string
		ends  func(s *seen)
	}{
		"exit":     {"\x1b]12;red\a", func(s *seen) { s.exit(0) }},
		"KILL":     {"\x1b]12;red\a", func(s *seen) { s.kill(syscall.SIGKILL) }},
		"no color": {"", func(s *seen) { s.exit(0) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := see(t, "bash", 80, 24, nil)
			log := filepath.Join(t.TempDir(), "log")
			s.PipeTo(log)
			s.session(mayType, 80, 24)
			s.snapshot(80, 24, tt.color+"hello")
			s.WaitText("hello")
			s.waitAcked()
			tt.ends(s)
			s.wantSane("")
			var b []byte
			termtest.Wait(t, func() (err error) {
				if b, err = os.ReadFile(log); err == nil && !strings.Contains(string(b), "extproc") {
					err = fmt.Errorf("the output of the shell is not in the log yet: %q", b)
				}
				return err
			})
			set, reset := strings.Count(string(b), "\x1b]12;rgb:ff/00/00\a"), strings.Count(string(b), draw.ResetCursorColor)
			if colored := tt.color != ""; (set > 0) != colored || (reset > 0) != colored {
				t.Errorf("the colour was set %d times and reset %d times: %q", set, reset, b)
			}
		})
	}
}

// Keys arrive as they were typed, without commands, and the size is sent.
func TestTyping(t *testing.T) {
	t.Parallel()
	s := see(t, "dash", 80, 24, nil)
	s.session(mayType, 80, 24)
	s.snapshot(80, 24, "$ ")
	s.WaitText("$")
	s.Type("ls ~")
	s.Keys("Enter")
	s.waitTyped("ls ~\r")
	s.Type("~~x")
	s.Keys("C-c", "C-z", "Up", "F1", "Escape")
	s.waitTyped("ls ~\r~x\x03\x1a\x1b[A\x1bOP\x1b")
	s.output("\x1b[?1h")
	s.waitAcked()
	s.Keys("Up")
	s.waitTyped("ls ~\r~x\x03\x1a\x1b[A\x1bOP\x1b\x1bOA")
	s.Resize(100, 30)
	s.wait("sizes", func() bool {
		return len(s.sizes) > 0 && s.sizes[len(s.sizes)-1] == wire.TermResize{Cols: 100, Rows: 30}
	})
	if s.opened.Cols != 80 || s.opened.Rows != 24 || s.opened.Scrollback != 1000 || s.opened.Mode != wire.TermScreen {
		t.Errorf("opened %+v", s.opened)
	}
	s.message(&wire.TermResize{Seq: s.seq, Cols: 100, Rows: 30})
	s.output("\x1b[30;90Hcorner")
	s.WaitText("corner")
	s.Keys("Enter")
	s.Type("~?")
	s.WaitText("suspend")
	s.Type("x")
	s.Keys("Enter")
	s.Type("~")
	s.Keys("C-z")
	s.WaitText("topped")
	s.Run("fg")
	s.WaitText("corner")
	s.Resize(80, 24)
	s.exit(0)
	s.wantSane("exited=true")
}

// Whatever keyboard protocol the shared program uses, it gets keys in that form, and ~.
// leaves.
func TestTypingProtocols(t *testing.T) {
	t.Parallel()
	s := see(t, "dash", 80, 24, nil)
	s.session(mayType, 80, 24)
	s.snapshot(80, 24, "$ ")
	s.WaitText("$")
	const all = "\x1b[97;;97u\x1b[13;;13u" // a, Enter
	s.output("\x1b[>25u")                  // with the text
	s.waitAcked()
	s.Bytes(all)
	s.waitTyped(all)
	s.output("\x1b[>10u") // with what is released, without the text
	s.waitAcked()
	s.Bytes(all + "\x1b[13;1:3u")
	s.waitTyped(all + "\x1b[97u\x1b[13u\x1b[13;1:3u")
	s.Bytes("\x1b[96;2;126u\x1b[96;2:3u\x1b[47;2;63u")
	s.WaitText("suspend")
	s.Bytes("\x1b[47;1:3u") // released, it ends nothing
	s.Bytes("\x1b[97;;97u")
	s.waitTyped(all + "\x1b[97u\x1b[13u\x1b[13;1:3u\x1b[97u")
	s.Bytes("\x1b[13;;13u\x1b[96;2;126u\x1b[96;2:3u\x1b[46;;46u")
	s.wantSane("exited=false")
	s.waitTyped(all + "\x1b[97u\x1b[13u\x1b[13;1:3u\x1b[97u\x1b[13u")
}

// Pasted text has no commands, and has marks only if the program wants them.
func TestPaste(t *testing.T) {
	t.Parallel()
	s := see(t, "dash", 80, 24, nil)
	s.session(mayType, 80, 24)
	s.snapshot(80, 24, "$ ")
	s.WaitText("$")
	s.waitAcked()
	s.Paste("a\n~.\nb")
	s.waitTyped("a\r~.\rb")
	s.output("\x1b[?2004h")
	s.waitAcked()
	s.Paste("c\n~.\n")
	s.waitTyped("a\r~.\rb\x1b[200~c\r~.\r\x1b[201~")
	s.exit(0)
	s.wantSane("exited=true")
}

// A view without the right to type sends nothing, and leaves with q, Ctrl-C or ~.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	for _, leave := range []string{"q", "C-c", "~."} {
		for _, rights := range []string{viewOnly, mayType} {
			t.Run(leave+" "+rights, func(t *testing.T) {
				t.Parallel()
				args := []string{}
				if rights == mayType {
					args = append(args, "read-only")
				}
				s := see(t, "dash", 80, 24, nil, args...)
				s.session(rights, 80, 24)
				s.snapshot(80, 24, everything+"\x1b[Hhello")
				s.WaitText("hello")
				s.Type("x")
				s.WaitText("read-only: q leaves")
				s.Resize(79, 24)
				s.WaitText("hello")
				s.Type("?")
				s.WaitText("PgUp PgDn move, f follow") // all of it within 80 columns
				if got := s.Format("#{mouse_any_flag} #{keypad_cursor_flag}"); got != "0 0" {
					t.Errorf("modes for who may type: %s", got)
				}
				if leave == "~." {
					s.Type(leave)
				} else {
					s.Keys(leave)
				}
				s.wait("the viewer's end", func() bool { return s.err != nil })
				_ = s.w.Close()
				s.wantSane("exited=false code=0 error=ok")
				s.wantNothing("a read-only view")
			})
		}
	}
}

// A viewer asks for the right to type, types when it has it, and types nothing after a
// revocation. Keys that were meant for the shell do not leave the view then.
func TestAsk(t *testing.T) {
	t.Parallel()
	s := see(t, "dash", 80, 24, nil)
	s.session(viewOnly, 80, 24)
	s.snapshot(80, 24, "hello")
	s.WaitText("hello")
	s.Type("x")
	s.WaitText("~r asks to type")
	s.Type("y~r")
	s.WaitText("the sharer is asked")
	s.wait("the question", func() bool { return s.asked == 1 })
	s.message(&wire.TermCtl{Viewers: 1, Rights: viewOnly, Ask: true})
	s.wantNothing("who asks")
	s.message(&wire.TermCtl{Viewers: 1, Rights: mayType, Notice: "go ahead"})
	s.WaitText("go ahead")
	s.wait("its size", func() bool { return len(s.sizes) == 1 && s.sizes[0] == wire.TermResize{Cols: 80, Rows: 24} })
	s.Type("qa~r")
	s.waitTyped("qa~r")
	s.Keys("Enter")
	s.Type("~r")
	s.WaitText("you may type already")
	s.message(&wire.TermCtl{Viewers: 1, Rights: viewOnly})
	s.message(&wire.TermCtl{Viewers: 1}) // no change
	s.output("\r\nrevoked")
	s.WaitText("revoked")
	s.Type("quit")
	s.WaitText("you may not type here any more")
	s.wait("nothing more", func() bool { return s.typed.String() == "qa~r\r" && s.asked == 1 })
	s.exit(0)
	s.wantSane("exited=true")
}

// A sharer that gives and revokes the right to type again and again, and reads nothing,
// costs no memory.
func TestRightsFlap(t *testing.T) {
	t.Parallel()
	once, often := view.Unsent(1), view.Unsent(1000)
	if once == 0 || often != once {
		t.Errorf("%d bytes wait, and %d after 1000 times, want as many", once, often)
	}
}

// A pane with a view shows the same as a pane with the output itself.
func TestSameAsTmux(t *testing.T) {
	t.Parallel()
	for i, out := range termtest.Streams {
		if strings.Contains(out, "\u200d") || strings.Contains(out, "\x1b(0") || strings.Contains(out, "\x1b[1;2Hx") {
			continue // what tmux joins, how it captures line drawing, and that it leaves halves of wide characters
		}
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			name := filepath.Join(t.TempDir(), "out")
			if err := os.WriteFile(name, []byte(out), 0o600); err != nil {
				t.Fatal(err)
			}
			direct := termtest.New(t, 80, 24, nil, "sh", "-c", "stty raw -echo; cat "+name+"; exec sleep 1000")
			s := see(t, "dash", 80, 24, nil)
			s.session(viewOnly, 80, 24)
			s.snapshot(80, 24, "")
			s.output(out)
			s.waitAcked()
			termtest.Wait(t, func() error {
				const format = "#{cursor_flag} #{cursor_x},#{cursor_y}"
				if got, want := s.Screen()+s.Format(format), direct.Screen()+direct.Format(format); got != want {
					return fmt.Errorf("got\n%q\nwant\n%q", got, want)
				}
				return nil
			})
		})
	}
}

// Larger and smaller terminals: the status line, the edge, and moving the view.
func TestOtherSizes(t *testing.T) {
	t.Parallel()
	s := see(t, "dash", 20, 5, nil)
	s.session(viewOnly, 10, 3)
	s.snapshot(10, 3, "\x1b[H0123456789\r\nabc")
	s.wantScreen("0123456789│", "abc       │", "          │", "──────────┘", "bob 10x3 (you 20x5),")
	s.Resize(12, 3)
	s.wantScreen("0123456789│", "abc       │", "          │")
	s.message(&wire.TermResize{Seq: s.seq, Cols: 14, Rows: 6})
	s.output("\x1b[2J\x1b[H1st\r\n2nd\r\n3rd\r\n4th\r\n5th\r\n6th          <")
	s.wantScreen("h", "h          <", "bob 14x6 (yo")
	s.Keys("Left")
	s.wantScreen("5th", "6th", "bob 14x6 (yo")
	s.Keys("Up")
	s.wantScreen("4th", "5th", "bob 14x6 (yo")
	s.Keys("f")
	s.wantScreen("h", "h          <", "bob 14x6 (yo")
}

// A viewer that may not type reads scrolled lines with the keys of a pager, and returns
// to the current screen.
func TestReadBack(t *testing.T) {
	t.Parallel()
	s := see(t, "dash", 30, 4, nil)
	s.session(viewOnly, 30, 4)
	s.snapshot(30, 4, "1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n7\r\n8")
	s.wantScreen("5", "6", "7", "8")
	s.Keys("PPage")
	s.wantScreen("2", "3", "4", "3 of 4 lines up, f goes back")
	s.output("\r\n9\r\n10")
	s.wantScreen("2", "3", "4", "5 of 6 lines up, f goes back")
	s.Keys("Home")
	s.wantScreen("1", "2", "3", "6 of 6 lines up, f goes back")
	s.Keys("Down", "Down")
	s.wantScreen("3", "4", "5", "4 of 6 lines up, f goes back")
	s.Keys("NPage")
	s.wantScreen("6", "7", "8", "1 of 6 lines up, f goes back")
	s.Keys("Down")
	s.wantScreen("7", "8", "9", "10")
	s.Keys("PPage", "End")
	s.wantScreen("7", "8", "9", "10")
}

// A viewer that types reads scrolled lines as on its own terminal, and typing returns to
// the cursor.
func TestReadBackAndType(t *testing.T) {
	t.Parallel()
	s := see(t, "dash", 40, 4, nil)
	s.session(mayType, 40, 4)
	s.snapshot(40, 4, "1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n7\r\n$ ")
	s.wantScreen("5", "6", "7", "$")
	s.Keys("S-PPage")
	s.wantScreen("2", "3", "4", "3 of 4 lines up, typing goes back")
	s.Keys("S-NPage")
	s.wantScreen("5", "6", "7", "$")
	s.Keys("S-PPage", "x")
	s.waitTyped("x")
	s.wantScreen("5", "6", "7", "$")
	s.output("\x1b[?1049h\x1b[Hfull screen")
	s.wantScreen("full screen")
	s.Keys("S-PPage") // is the program's there
	s.waitTyped("x\x1b[5;2~")
}

// A broken link is shown. Few keys wait for it, and not for long.
func TestBrokenLink(t *testing.T) {
	t.Parallel()
	s := see(t, "dash", 80, 24, nil, "broken")
	s.session(mayType, 80, 24)
	s.snapshot(80, 24, "$ ")
	s.WaitText("$")
	s.kill(syscall.SIGUSR1)
	s.WaitText("the link is broken, waiting for it")
	s.Type("date")
	s.WaitText("4 bytes typed")
	s.wantNothing("the link is broken")
	s.kill(syscall.SIGUSR2)
	s.waitTyped("date")
	termtest.Wait(t, func() error {
		if got := s.Text(); strings.Contains(got, "broken") {
			return fmt.Errorf("the link is still broken: %s", got)
		}
		return nil
	})
	s.kill(syscall.SIGUSR1)
	s.WaitText("the link is broken, waiting for it")
	s.Keys("Enter")
	s.Type("~.")
	s.wantSane("ended exited=false")
}

// A terminal that accepts no output delays neither keys nor the end of the view.
func TestTerminalStops(t *testing.T) {
	t.Parallel()
	s := see(t, "bash", 80, 24, nil)
	s.session(mayType, 80, 24)
	s.snapshot(80, 24, "$ ")
	s.WaitText("$")
	s.kill(syscall.SIGSTOP)
	s.WaitText("topped")
	s.output(strings.Repeat("line\r\n", 1000) + "end")
	s.Run("fg")
	s.WaitText("end")
	s.waitAcked()
	s.exit(0)
	s.wantSane("exited=true")
}

// Raw output on a terminal is filtered, and its modes are reset in the end.
func TestRawOnTerminal(t *testing.T) {
	t.Parallel()
	s := see(t, "dash", 80, 24, nil, "raw")
	s.session(viewOnly, 80, 24)
	s.output("\x1b[?1049h\x1b[H\x1b[31mred\x1b[c\x1b[6n\x1b]0;evil\x07\x1b[?1003h\x1b[?25l\x1bP$qm\x1b\\done")
	s.WaitText("reddone")
	if got := s.Format("#{pane_title} #{mouse_any_flag}"); strings.Contains(got, "evil") || !strings.HasSuffix(got, " 0") {
		t.Errorf("got title and mouse %q", got)
	}
	s.waitAcked()
	s.exit(0)
	s.wantSane("exited=true")
	if got := s.Text(); strings.Contains(got, ";") && strings.Contains(got, "[?") {
		t.Errorf("the terminal has answered:\n%s", got)
	}
}

// A view on a terminal of the session that it runs in is declined.
func TestOwnSession(t *testing.T) {
	t.Parallel()
	s := see(t, "dash", 80, 24, []string{"VIEW_TEST_SESSION=" + wire.TransferID{1}.String()})
	s.session(viewOnly, 80, 24)
	s.wantSane("error=declined")
}

// A view without a terminal fails and says so.
func TestNoTerminal(t *testing.T) {
	t.Parallel()
	v := start(t, view.Options{Form: view.Screen})
	v.wantEnd(view.End{}, proto.Usage)
}

// Piped input while the screen is drawn.
func TestPipedInput(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("printf"); err != nil {
		t.Skip("no printf here")
	}
	s := see(t, "dash", 80, 24, nil, "</dev/null")
	s.session(mayType, 80, 24)
	s.snapshot(80, 24, "$ hello")
	s.WaitText("hello")
	s.wait("the viewer's end", func() bool { return s.err != nil })
	_ = s.w.Close()
	s.wantSane("exited=false code=0 error=ok")
}
