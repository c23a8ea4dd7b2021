// Package console takes over the terminal that a tool runs on, and gives it back
// sane after any end: return, signals, Ctrl-Z and fg, a panic, kill -9. For the
// last two there is the guard, a process of our own that outlives the tool by
// the moment that it needs (see guard.go).
package console

import (
	"errors"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/term"

	meshterm "mesh/pipe/term"
	"mesh/proto"
)

// patience is how long the end waits for a terminal that takes no more bytes.
const patience = 500 * time.Millisecond

// Reset takes back what programs set on a terminal: colours, links, character set,
// scroll region, cursor, mouse, focus, paste and keypad modes. It leaves cursor
// and screen where they are.
const Reset = "\x1b[m\x1b]8;;\x1b\\\x1b(B\x0f" + // colours, links, ASCII
	"\x1b7\x1b[r\x1b8" + // the scroll region; that moves the cursor
	"\x1b[?25h\x1b[0 q\x1b[?7h\x1b[4;20l\x1b[?5l" + // cursor, wrapping, no insertion, LF as ever, not reversed
	"\x1b[?9;1000;1002;1003;1005;1006;1015;1004;2004;2031;2048l" + // mouse, focus, paste, reports
	"\x1b[?1l\x1b>\x1b[<u\x1b[>4m" + // keys
	"\x1b[?2026l" // shows at once what is drawn

// The alternate screen.
const (
	Alternate = "\x1b[?1049h"
	Main      = "\x1b[?1049l"
)

// PushTitle has a terminal keep the title that it has, PopTitle brings it back.
const (
	PushTitle = "\x1b[22;2t"
	PopTitle  = "\x1b[23;2t"
)

// Options say what is written when the terminal is taken over and given back.
type Options struct {
	// Enter is written whenever the terminal is taken over, in raw mode.
	Enter string
	// Leave is written before it is given back; [Console.SetLeave] changes it.
	Leave string
}

// Console is a terminal that was taken over. Its methods may be called at the
// same time.
type Console struct {
	in, out *os.File
	enter   string
	saved   *term.State // of in; nil if that is no terminal
	guard   *guard      // nil where there is none

	changed chan struct{} // the signals' goroutine sends; never closed
	stop    func()        // ends that goroutine
	stopped chan struct{} // closed by it
	restore func()        // undoes what showing escape sequences needed

	hold  chan struct{} // holds one value while nobody uses what is below
	leave string
	taken bool
	done  bool
}

// Open takes the terminal over: out is one, and in, where keys come from, may be
// one or not. It is in raw mode then, if keys come from it. Open waits for the
// guard to be there, some milliseconds.
func Open(in, out *os.File, o Options) (*Console, error) {
	c := &Console{in: in, out: out, enter: o.Enter, leave: o.Leave, changed: make(chan struct{}, 1), stopped: make(chan struct{}), hold: make(chan struct{}, 1)}
	c.hold <- struct{}{}
	if in != nil && term.IsTerminal(int(in.Fd())) {
		saved, err := term.GetState(int(in.Fd()))
		if err != nil {
			return nil, proto.Errorf(proto.IO, "terminal: %w", err)
		}
		c.saved = saved
	}
	// A process that crashes must end by a signal: after any other end bash takes
	// the terminal's mode for what it is to be.
	debug.SetTraceback("crash")
	c.guard = startGuard(out, c.leave)
	c.restore = ownOutput(out)
	c.stop = c.watch()
	if err := c.take(); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// Write shows p. While the terminal is not ours, p is dropped: who hears of
// [Console.Changed] draws everything anew. It blocks as the terminal does.
func (c *Console) Write(p []byte) (int, error) {
	<-c.hold
	defer func() { c.hold <- struct{}{} }()
	if !c.taken {
		return len(p), nil
	}
	n, err := c.out.Write(p)
	if err != nil {
		return n, proto.Errorf(proto.IO, "write to the terminal: %w", err)
	}
	return n, nil
}

// Size returns the terminal's size. One that says nothing of it has 80 by 24.
func (c *Console) Size() (cols, rows int) {
	cols, rows, err := term.GetSize(int(c.out.Fd()))
	if err != nil || cols <= 0 || rows <= 0 {
		return 80, 24
	}
	return cols, rows
}

// Changed tells that the size may have changed, or what was drawn is gone.
func (c *Console) Changed() <-chan struct{} { return c.changed }

// SetLeave changes what is written before the terminal is given back.
func (c *Console) SetLeave(leave string) {
	<-c.hold
	defer func() { c.hold <- struct{}{} }()
	if leave != c.leave && !c.done {
		c.leave = leave
		c.guard.setLeave(leave)
	}
}

// Close gives the terminal back for good. Later calls do nothing. A terminal
// that takes no bytes is left to the guard after half a second, for when this
// process has ended.
func (c *Console) Close() error {
	closed := make(chan error, 1) // one value, from the goroutine
	go func() {
		<-c.hold
		defer func() { c.hold <- struct{}{} }()
		if c.done {
			closed <- errClosed
			return
		}
		c.done = true
		c.stop()
		err := c.give()
		c.restore()
		closed <- err
	}()
	select {
	case err := <-closed:
		if err == errClosed {
			return nil
		}
		<-c.stopped
		c.guard.close()
		return err
	case <-time.After(patience):
		return proto.Errorf(proto.IO, "the terminal takes no more output")
	}
}

var errClosed = errors.New("closed already")

// take makes the terminal ours.
func (c *Console) take() error {
	<-c.hold
	defer func() { c.hold <- struct{}{} }()
	return c.takeLocked()
}

func (c *Console) takeLocked() error {
	if c.done {
		return nil
	}
	if !meshterm.Foreground(c.out) {
		c.taken = false
		c.guard.given()
		return nil
	}
	if c.saved != nil {
		if _, err := term.MakeRaw(int(c.in.Fd())); err != nil {
			return proto.Errorf(proto.IO, "terminal: %w", err)
		}
	}
	c.taken = true
	c.guard.taken()
	_, err := c.out.WriteString(c.enter)
	if err != nil {
		return proto.Errorf(proto.IO, "write to the terminal: %w", err)
	}
	return nil
}

// give makes the terminal what it was.
func (c *Console) give() error {
	if !c.taken {
		return nil
	}
	c.taken = false
	_, err := c.out.WriteString(c.leave)
	if c.saved != nil {
		if rerr := term.Restore(int(c.in.Fd()), c.saved); err == nil {
			err = rerr
		}
	}
	c.guard.given()
	if err != nil {
		return proto.Errorf(proto.IO, "terminal: %w", err)
	}
	return nil
}

// Protect is to be deferred in each goroutine of a tool that has a console: it
// gives the terminal back before a panic is printed.
func (c *Console) Protect() {
	if v := recover(); v != nil {
		_ = c.Close()
		panic(v)
	}
}

// tell wakes who waits for [Console.Changed].
func (c *Console) tell() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}
