//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mesh/pipe/term/termtest"
)

// gated is a shared command that reads nothing until the gate opens, and then writes
// its input to the file got.
const gated = `sh -c 'stty -echo; echo ready; cat gate >/dev/null; echo open; exec cat >got'`

// openGate lets the command of gated read.
func (s *shared) openGate() {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, "gate"), nil, 0o600); err != nil { // blocks until the command opens it
		s.t.Fatal(err)
	}
}

// writePaste writes a text of a megabyte, each line of it another one, and returns it.
func (s *shared) writePaste() []byte {
	s.t.Helper()
	var text bytes.Buffer
	for i := 0; text.Len() < 1<<20; i++ {
		fmt.Fprintf(&text, "%d this is a line of a script that somebody pastes\n", i)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "paste"), text.Bytes(), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return text.Bytes()
}

// waitGot waits until the command has read a text.
func (s *shared) waitGot(v *termtest.Pane, want []byte) {
	s.t.Helper()
	var last int
	for { // as long as more comes
		got := s.got()
		if bytes.Equal(got, want) {
			return
		}
		n := len(got)
		termtest.Wait(s.t, func() error {
			if n = len(s.got()); n > last || n == len(want) {
				return nil
			}
			return fmt.Errorf("the command has read %d bytes of %d:\n…%q\nthe viewer sees\n%s", n, len(want), s.got()[max(n-100, 0):], v.Text())
		})
		if last = n; n >= len(want) {
			got = s.got()
			for i := range want {
				if i >= len(got) || got[i] != want[i] {
					s.t.Fatalf("byte %d of %d differs: got %q", i, len(want), got[min(max(i-40, 0), len(got)):min(i+40, len(got))])
				}
			}
		}
	}
}

func (s *shared) got() []byte {
	got, _ := os.ReadFile(filepath.Join(s.dir, "got"))
	return got
}

// pasteGated shares gated, and returns a viewer that has pasted the text. The shared
// terminal has not accepted it.
func pasteGated(t *testing.T, s *shared, flags ...string) (v *termtest.Pane, text []byte) {
	t.Helper()
	text = s.writePaste()
	v = s.view("tok.control", 80, 24, flags...)
	v.WaitText("ready")
	v.PasteFile(filepath.Join(s.dir, "paste"))
	v.WaitText("bytes of input wait for the shared terminal")
	return v, text
}

func shareGated(t *testing.T) *shared {
	t.Helper()
	return shareCommand(t, 80, 24, "sh -c 'mkfifo gate; "+strings.TrimPrefix(gated, "sh -c '"))
}

// All of a paste that the command does not read yet arrives, in order.
func TestTTYPaste(t *testing.T) {
	t.Parallel()
	s := shareGated(t)
	v, text := pasteGated(t, s)
	s.openGate()
	s.waitGot(v, text)
	v.WaitText("open")
}

// Another viewer's key does not get into a paste that the command does not read yet.
func TestTTYPasteTwoWriters(t *testing.T) {
	t.Parallel()
	s := shareGated(t)
	other := s.view("tok.control", 80, 24)
	other.WaitText("ready")
	v, text := pasteGated(t, s)
	other.Type("x")
	other.Keys("Enter")
	s.openGate()
	s.waitGot(v, append(text, "x\n"...))
}

// Commands are found behind a paste that waits, and Ctrl-C drops it.
func TestTTYPasteCommands(t *testing.T) {
	t.Parallel()
	s := shareGated(t)
	v, text := pasteGated(t, s)
	v.Keys("C-c")
	v.WaitText("bytes of input dropped")
	v.Keys("Enter")
	v.Type("~.")
	v.WaitText("PROMPT>")
	leaver := s.view("tok.control", 80, 24)
	leaver.WaitText("ready")
	leaver.PasteFile(filepath.Join(s.dir, "paste"))
	leaver.WaitText("bytes of input wait for the shared terminal")
	leaver.Type("~.") // the paste ends with a newline
	leaver.WaitText("PROMPT>")
	if got := s.got(); len(got) > len(text)/2 {
		t.Errorf("%d bytes were typed", len(got))
	}
}

// A paste arrives whole over a link that breaks meanwhile.
func TestTTYPasteOutage(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	w := newWire(t, freeAddr(t), 0)
	s := &shared{t: t, dir: t.TempDir()}
	s.sharer = s.pane("bash", 80, 24)
	s.sharer.Run("clear; mkfifo gate; mesh-tty --share --control --listen " + w.to + " --addr " + w.Addr().String() + " --token-file tok -- " + gated)
	s.waitFile("tok.control")
	v, text := pasteGated(t, s, "--via", "tcp")
	w.set(true)
	v.WaitText("the link is broken")
	s.openGate()
	w.set(false)
	s.waitGot(v, text)
}

// On a link that stalls, another viewer's keys do not get into a paste, which is not
// marked as one.
func TestTTYPasteStalls(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	w := newWire(t, freeAddr(t), 500*time.Millisecond)
	s := &shared{t: t, dir: t.TempDir()}
	s.sharer = s.pane("bash", 80, 24)
	s.sharer.Run("clear; mesh-tty --share --control --listen " + w.to + " --addr " + w.Addr().String() + " --token-file tok -- sh -c 'stty -echo; echo ready; exec cat >got'")
	s.waitFile("tok.control")
	text := s.writePaste()
	other := s.view("tok.control", 80, 24, "--via", "tcp")
	other.WaitText("ready")
	v := s.view("tok.control", 80, 24, "--via", "tcp")
	v.WaitText("ready")
	v.PasteFile(filepath.Join(s.dir, "paste"))
	termtest.Wait(t, func() error {
		if n := len(s.got()); n < 200_000 {
			return fmt.Errorf("the command has read %d bytes", n)
		}
		return nil
	})
	other.Type("x")
	other.Keys("Enter")
	s.waitGot(v, append(text, "x\n"...))
}
