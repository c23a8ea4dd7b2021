// Package console takes over the terminal that a tool runs on, and restores it after
// any end of the tool: return, signals, Ctrl-Z and fg, a panic, kill -9. For the last
// two there is a second process, the restorer, which outlives the tool for a moment:
// see restorer.go.
package console

import (
	"os"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/term"

	meshterm "mesh/pipe/term"
	"mesh/proto"
)

// closeTimeout is how long Close waits for a terminal that accepts no bytes.
const closeTimeout = 500 * time.Millisecond

// Reset undoes what programs set on a terminal: colours, links, character set, scroll
// region, cursor, and the modes of mouse, focus, paste and keypad. It leaves the
// cursor's place and the screen as they are.
const Reset = "\x1b[m\x1b]8;;\x1b\\\x1b(B\x0f" + // colours, links, ASCII
	"\x1b7\x1b[r\x1b8" + // the scroll region; resetting it moves the cursor
	"\x1b[?25h\x1b[0 q\x1b[?7h\x1b[4;20l\x1b[?5l" + // cursor, wrapping, no insertion, plain LF, not reversed
	"\x1b[?9;1000;1002;1003;1005;1006;1015;1004;2004;2031;2048l" + // mouse, focus, paste, reports
	"\x1b[?1l\x1b>\x1b[<u\x1b[>4m" + // keys
	"\x1b[?2026l" // no synchronized output

// The sequences that switch to the alternate screen and back.
const (
	Alternate = "\x1b[?1049h"
	Main      = "\x1b[?1049l"
)

// PushTitle makes a terminal save its title, PopTitle restores the saved one.
const (
	PushTitle = "\x1b[22;2t"
	PopTitle  = "\x1b[23;2t"
)

// Options are what is written when the terminal is taken over and given back.
type Options struct {
	// Enter is written each time the terminal has been taken over, in raw mode.
	Enter string
	// Leave is written each time before it is given back; [Console.SetLeave] changes it.
	Leave string
}

// Console is a terminal that was taken over. Its methods are safe for concurrent use.
type Console struct {
	in, out  *os.File
	enter    string
	original *term.State // the mode of in before; nil if in is no terminal
	restorer *restorer   // nil where there is none

	changed     chan struct{} // one value at most, sent by notify; never closed
	stopWatch   func()        // ends the goroutine of watch
	watchEnded  chan struct{} // closed by that goroutine
	resetOutput func()        // undoes enableSequences

	mu     sync.Mutex // also held while the process is suspended
	leave  string
	owned  bool // taken over, and not given back since
	closed bool
}

// Open takes over the terminal out. in is where keys come from, and may be nil or no
// terminal; if it is a terminal, it is put into raw mode. Open waits some milliseconds
// for the restorer to start.
func Open(in, out *os.File, o Options) (*Console, error) {
	c := &Console{in: in, out: out, enter: o.Enter, leave: o.Leave, changed: make(chan struct{}, 1), watchEnded: make(chan struct{})}
	if in != nil && term.IsTerminal(int(in.Fd())) {
		original, err := term.GetState(int(in.Fd()))
		if err != nil {
			return nil, proto.Errorf(proto.IO, "read the terminal's mode: %w", err)
		}
		c.original = original
	}
	// A process that crashes must end by a signal: after any other end, bash keeps
	// the terminal's mode as the one that it shall have.
	debug.SetTraceback("crash")
	c.restorer = startRestorer(out, c.leave)
	c.resetOutput = enableSequences(out)
	c.stopWatch = c.watch()
	if err := c.takeOver(); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// Write shows p. It discards p while the terminal is given back: the caller draws
// everything again when [Console.Changed] fires. It blocks as long as the terminal
// accepts no bytes.
func (c *Console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.owned {
		return len(p), nil
	}
	n, err := c.out.Write(p)
	return n, writeError(err)
}

func writeError(err error) error {
	if err == nil {
		return nil
	}
	return proto.Errorf(proto.IO, "write to the terminal: %w", err)
}

// Size returns the terminal's size, 80 by 24 if the terminal does not report one.
func (c *Console) Size() (cols, rows int) { return meshterm.Size(c.out) }

// Changed receives a value when the size may have changed, or the terminal was given
// back and taken over again. It is never closed.
func (c *Console) Changed() <-chan struct{} { return c.changed }

// SetLeave changes what is written before the terminal is given back.
func (c *Console) SetLeave(leave string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if leave != c.leave && !c.closed {
		c.leave = leave
		c.restorer.setLeave(leave)
	}
}

// Close gives the terminal back for good. Later calls do nothing. If the terminal
// accepts no bytes for half a second, Close fails, and the restorer does the work
// after this process has ended.
func (c *Console) Close() error {
	result := make(chan error, 1) // one value, from the goroutine; closed if closed before
	go func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.closed {
			close(result)
			return
		}
		c.closed = true
		c.stopWatch()
		err := c.giveBackLocked()
		c.resetOutput()
		result <- err
	}()
	select {
	case err, first := <-result:
		if first {
			<-c.watchEnded
			c.restorer.close()
		}
		return err
	case <-time.After(closeTimeout):
		return proto.Errorf(proto.IO, "restore the terminal: it accepts no output")
	}
}

// takeOver puts the terminal into raw mode and writes the enter sequence, unless the
// process is in the background.
func (c *Console) takeOver() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.takeOverLocked()
}

func (c *Console) takeOverLocked() error {
	if c.closed {
		return nil
	}
	if !meshterm.Foreground(c.out) {
		c.owned = false
		c.restorer.givenBack()
		return nil
	}
	if c.original != nil {
		if _, err := term.MakeRaw(int(c.in.Fd())); err != nil {
			return proto.Errorf(proto.IO, "set the terminal's mode: %w", err)
		}
	}
	c.owned = true
	c.restorer.takenOver()
	_, err := c.out.WriteString(c.enter)
	return writeError(err)
}

// giveBackLocked writes the leave sequence and restores the terminal's mode.
func (c *Console) giveBackLocked() error {
	if !c.owned {
		return nil
	}
	c.owned = false
	_, err := c.out.WriteString(c.leave)
	if c.original != nil {
		if rerr := term.Restore(int(c.in.Fd()), c.original); err == nil {
			err = rerr
		}
	}
	c.restorer.givenBack()
	if err != nil {
		return proto.Errorf(proto.IO, "restore the terminal: %w", err)
	}
	return nil
}

// Protect must be deferred in each goroutine of a tool that has a console. It gives
// the terminal back before a panic is printed.
func (c *Console) Protect() {
	if v := recover(); v != nil {
		_ = c.Close()
		panic(v)
	}
}

// notify makes [Console.Changed] fire.
func (c *Console) notify() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}
