//go:build unix

package measure

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"

	"mesh/pipe/term/pty"
	"mesh/pipe/term/vt"
)

// ScreenTimeout bounds one wait for something to appear on a screen.
const ScreenTimeout = 20 * time.Second

// Size of every screen.
const (
	screenCols = 80
	screenRows = 24
)

// Screen is a command on a pseudo-terminal and what a terminal emulator shows of
// its output.
type Screen struct {
	pty *pty.Process
	wg  sync.WaitGroup

	mu      sync.Mutex
	term    *vt.Terminal
	ended   bool
	changed chan struct{} // follow sends after each change; never closed
}

// OpenScreen starts cmd on a screen of 80 columns and 24 rows. The caller
// must call Close.
func OpenScreen(cmd *exec.Cmd) (*Screen, error) {
	p, err := pty.Start(pty.Options{Command: cmd.Args, Env: append(cmd.Environ(), "TERM=xterm-256color"), Cols: screenCols, Rows: screenRows})
	if err != nil {
		return nil, err
	}
	s := &Screen{pty: p, term: vt.New(screenCols, screenRows, 0), changed: make(chan struct{}, 1)}
	s.wg.Go(s.follow)
	return s, nil
}

func (s *Screen) follow() {
	buf := make([]byte, 64<<10)
	for ended := false; !ended; {
		n, err := s.pty.Read(buf)
		ended = err != nil
		s.mu.Lock()
		_, _ = s.term.Write(buf[:n])
		s.ended = ended
		s.mu.Unlock()
		select {
		case s.changed <- struct{}{}:
		default:
		}
	}
}

// Press writes keys to the command's terminal.
func (s *Screen) Press(keys string) error {
	_, err := s.pty.Write([]byte(keys))
	return err
}

// Await waits until shown returns true for the screen. It fails if the command
// ends, if ctx ends, and after ScreenTimeout; what names the awaited thing.
func (s *Screen) Await(ctx context.Context, what string, shown func(*vt.Terminal) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, ScreenTimeout, errors.New("not in time"))
	defer cancel()
	for {
		s.mu.Lock()
		ok, ended := shown(s.term), s.ended
		s.mu.Unlock()
		switch {
		case ok:
			return nil
		case ended:
			return fmt.Errorf("wait for %s: the client ended: %s", what, s.text())
		}
		select {
		case <-s.changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w: %s", what, context.Cause(ctx), s.text())
		}
	}
}

func (s *Screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.TrimSpace(strings.Join(s.term.Text(), "\n"))
}

// Contains returns a condition for Await: the screen has text.
func Contains(text string) func(*vt.Terminal) bool {
	return func(t *vt.Terminal) bool { return strings.Contains(strings.Join(t.Text(), "\n"), text) }
}

// Close ends the command and waits until its output has been read.
func (s *Screen) Close() {
	s.pty.Close()
	s.wg.Wait()
}
