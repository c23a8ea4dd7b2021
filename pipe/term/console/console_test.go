//go:build unix

package console_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/term"

	"mesh/pipe/term/console"
	"mesh/pipe/term/termtest"
)

// toolFile makes the test binary a tool with a console. The tool writes its process id to
// the file that this variable names.
const toolFile = "CONSOLE_TEST_TOOL"

func TestMain(m *testing.M) {
	if console.IsRestorer(os.Args) {
		console.RunRestorer(os.Stdin, os.Stdout, os.Stderr)
		os.Exit(0)
	}
	if name := os.Getenv(toolFile); name != "" {
		if err := tool(name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// tool sets all modes and waits for keys: q ends, p panics, z suspends.
func tool(name string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	enter := console.Alternate + "\x1b[?1003;1006;2004;1004h\x1b[?1h\x1b=\x1b[?25l\x1b[2;5r\x1b[31m\x1b[?7l\x1b[4h"
	c, err := console.Open(os.Stdin, os.Stdout, console.Options{Enter: enter, Leave: console.Reset + console.Main})
	if err != nil {
		return err
	}
	defer c.Close()
	draws := 0
	draw := func() {
		draws++
		cols, rows := c.Size()
		fmt.Fprintf(c, "\x1b[H\x1b[2Jdrawn %d %dx%d", draws, cols, rows)
	}
	draw()
	if err := os.WriteFile(name, []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		return err
	}
	keys := make(chan byte)
	go func() {
		defer c.Protect()
		for {
			var b [1]byte
			if _, err := io.ReadFull(os.Stdin, b[:]); err != nil {
				return
			}
			if b[0] == 'p' {
				panic("as the test wants it")
			}
			keys <- b[0]
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.Changed():
			draw()
		case k := <-keys:
			switch k {
			case 'q':
				return nil
			case 'z':
				if err := c.Suspend(); err != nil {
					return err
				}
			}
		}
	}
}

// running is a tool that was started from a shell.
type running struct {
	*termtest.Pane
	pid    int
	tty    *os.File
	before *term.State
	modes  string
}

func start(t *testing.T, shell string) *running {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pid")
	p := termtest.Shell(t, shell, 80, 24)
	r := &running{Pane: p, tty: p.TTY(), modes: p.Modes()}
	var err error
	if r.before, err = term.GetState(int(r.tty.Fd())); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p.Run(toolFile + "=" + name + " " + exe)
	p.WaitText("drawn 1 80x24")
	termtest.Wait(t, func() error {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		r.pid, err = strconv.Atoi(string(data))
		return err
	})
	if r.Modes() == r.modes {
		t.Fatalf("the tool has changed no mode: %s", r.modes)
	}
	return r
}

// wantSane waits until the terminal has its former modes, and the shell executes commands.
func (r *running) wantSane(t *testing.T, shows string) {
	t.Helper()
	termtest.Wait(t, func() error {
		if got := r.Modes(); got != r.modes {
			return fmt.Errorf("got modes %s\nwant      %s", got, r.modes)
		}
		now, err := term.GetState(int(r.tty.Fd()))
		if err != nil {
			return err
		}
		if *now != *r.before {
			return fmt.Errorf("the terminal's mode is not what it was:\n%+v\n%+v", *now, *r.before)
		}
		return nil
	})
	r.Keys("Enter")
	r.WaitShell()
	if got := r.Text(); !strings.Contains(got, shows) {
		t.Errorf("the screen lacks %q:\n%s", shows, got)
	}
}

func (r *running) kill(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(r.pid, s); err != nil {
		t.Fatal(err)
	}
}

func shells(t *testing.T, test func(t *testing.T, shell string)) {
	t.Parallel()
	for _, shell := range []string{"bash", "dash"} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			test(t, shell)
		})
	}
}

func TestReturn(t *testing.T) {
	shells(t, func(t *testing.T, shell string) {
		r := start(t, shell)
		r.Type("q")
		r.wantSane(t, "")
	})
}

func TestPanic(t *testing.T) {
	shells(t, func(t *testing.T, shell string) {
		r := start(t, shell)
		r.Type("p")
		r.wantSane(t, "") // the trace is longer than the screen
	})
}

func TestSignals(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGKILL, syscall.SIGSEGV} {
		t.Run(s.String(), func(t *testing.T) {
			shells(t, func(t *testing.T, shell string) {
				r := start(t, shell)
				r.kill(t, s)
				r.wantSane(t, "")
			})
		})
	}
}

func TestSuspend(t *testing.T) {
	for name, suspend := range map[string]func(*testing.T, *running){
		"key":  func(_ *testing.T, r *running) { r.Type("z") },
		"tstp": func(t *testing.T, r *running) { r.kill(t, syscall.SIGTSTP) },
	} {
		t.Run(name, func(t *testing.T) {
			shells(t, func(t *testing.T, shell string) {
				r := start(t, shell)
				suspend(t, r)
				r.wantSane(t, "topped") // the shell prints "Stopped" or "stopped"
				r.Run("fg")
				r.WaitText("drawn ") // on the alternate screen, which is empty at first
				if r.Modes() == r.modes {
					t.Error("fg has not taken the terminal over again")
				}
				suspend(t, r)
				r.wantSane(t, "topped")
				r.kill(t, syscall.SIGKILL) // while there is nothing to undo
				r.wantSane(t, "")
			})
		})
	}
}

// A process that was stopped by SIGSTOP draws again after fg.
func TestStopped(t *testing.T) {
	t.Parallel()
	r := start(t, "bash")
	r.kill(t, syscall.SIGSTOP)
	r.WaitText("topped")
	r.Run("fg")
	r.WaitText("drawn 2")
	r.Type("q")
	r.wantSane(t, "")
}

func TestResize(t *testing.T) {
	t.Parallel()
	r := start(t, "dash")
	r.Resize(100, 30)
	r.WaitText("100x30")
	r.Resize(80, 24)
	r.WaitText("80x24")
	r.Type("q")
	r.wantSane(t, "")
}

// A console works on when its restorer is killed.
func TestRestorerKilled(t *testing.T) {
	t.Parallel()
	r := start(t, "dash")
	names, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", r.pid))
	killed := 0
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for field := range strings.FieldsSeq(string(data)) {
			if pid, err := strconv.Atoi(field); err == nil && syscall.Kill(pid, syscall.SIGKILL) == nil {
				killed++
			}
		}
	}
	if killed == 0 {
		t.Skip("no list of children here")
	}
	r.Type("q")
	r.wantSane(t, "")
}
