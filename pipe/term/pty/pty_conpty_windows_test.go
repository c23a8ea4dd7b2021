//go:build conpty

package pty_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"mesh/pipe/term/pty"
)

// asCommand is set in the environment of the test binary that runs on the terminal.
const asCommand = "PTY_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(command())
	}
	os.Exit(m.Run())
}

// command reads commands from the console and answers on it. It exits with 98 when
// there is no console.
func command() int {
	in, err := os.OpenFile("CONIN$", os.O_RDWR, 0)
	if err != nil {
		return 98
	}
	out, err := os.OpenFile("CONOUT$", os.O_RDWR, 0)
	if err != nil {
		return 98
	}
	fmt.Fprintln(out, "ready")
	for lines := bufio.NewScanner(in); lines.Scan(); {
		switch strings.TrimSpace(lines.Text()) {
		case "size":
			var info windows.ConsoleScreenBufferInfo
			if err := windows.GetConsoleScreenBufferInfo(windows.Handle(out.Fd()), &info); err != nil {
				return 98
			}
			fmt.Fprintf(out, "size is %dx%d\n", info.Window.Right-info.Window.Left+1, info.Window.Bottom-info.Window.Top+1)
		case "print and exit":
			for i := range 5000 {
				fmt.Fprintf(out, "line %d of 5000\n", i+1)
			}
			return 7
		}
	}
	return 97
}

// onTerminal starts the test binary on a terminal. The channel receives its output, and
// is closed at its end.
func onTerminal(t *testing.T) (*pty.Process, <-chan string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := pty.Start(pty.Options{Command: []string{self}, Env: append(os.Environ(), asCommand+"=1"), Cols: 61, Rows: 17})
	if err != nil {
		t.Fatal(err)
	}
	printed := make(chan string)
	go func() {
		defer close(printed)
		buf := make([]byte, 4096)
		for {
			n, err := p.Read(buf)
			if n > 0 {
				printed <- string(buf[:n])
			}
			if err != nil {
				if err != io.EOF {
					t.Errorf("read: got %v, want EOF", err)
				}
				return
			}
		}
	}()
	return p, printed
}

// until receives output until it contains text.
func until(t *testing.T, printed <-chan string, text string) {
	t.Helper()
	var got string
	for limit := time.After(30 * time.Second); !strings.Contains(got, text); {
		select {
		case more, ok := <-printed:
			if !ok {
				t.Fatalf("got %q, want %q in it", got, text)
			}
			got += more
		case <-limit:
			t.Fatalf("got %q, want %q in it", got, text)
		}
	}
}

func TestConsole(t *testing.T) {
	p, printed := onTerminal(t)
	defer p.Close()
	until(t, printed, "ready")
	ask := func(line string) {
		if _, err := io.WriteString(p, line+"\r"); err != nil {
			t.Fatal(err)
		}
	}
	ask("size")
	until(t, printed, "size is 61x17")
	switch err := p.Resize(93, 31); {
	case errors.Is(err, syscall.Errno(windows.E_NOTIMPL)):
		t.Log("sizes do not change on this system: ", err) // as in Wine 8
	case err != nil:
		t.Error(err)
	default:
		ask("size")
		until(t, printed, "size is 93x31")
	}
	ask("print and exit")
	until(t, printed, "line 5000 of 5000")
	for range printed {
	}
	if got := p.Wait(); got.Code != 7 || got.Signal != 0 {
		t.Errorf("got %+v, want 7", got)
	}
}

func TestConsoleClosed(t *testing.T) {
	p, printed := onTerminal(t)
	until(t, printed, "ready")
	done := make(chan struct{})
	go func() {
		for range printed {
		}
		close(done)
	}()
	p.Close()
	<-done
	if got := p.Wait(); got.Code == 0 || got.Code == 97 {
		t.Errorf("got %+v, want that of a command that was ended", got)
	}
}

func TestConsoleUnknownCommand(t *testing.T) {
	if p, err := pty.Start(pty.Options{Command: []string{"no such command"}, Cols: 80, Rows: 24}); err == nil {
		p.Close()
		t.Error("got no error")
	}
}
