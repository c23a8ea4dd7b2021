package console

import (
	"encoding/binary"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// The guard is this binary, started once more, with the terminal as its standard
// output. It hears from its parent what there is to undo, and when the parent
// ends without having undone it, the guard does: it gives the terminal the mode
// that it had, and writes the parent's last words. A parent that was killed
// leaves bash a terminal on the wrong screen with no cursor, and dash one on
// which Enter does nothing.
//
// The parent's messages are a byte each, msgLeave with a string behind it.
const (
	guardWord = "--guard-terminal" // the only argument
	ready     = '!'                // the guard's answer, when it knows the terminal's mode
)

const (
	msgTaken = 'T' // from now on there is something to undo
	msgGiven = 'G' // there is not
	msgLeave = 'L' // u16 length, big endian, and what to write
)

// How often, and how far apart, the guard looks whether a shell makes the terminal's
// mode its own, as bash does and dash does not.
const (
	shellTries = 10
	shellPause = 5 * time.Millisecond
)

// maxLeaveBytes bounds what is written in the end.
const maxLeaveBytes = 4 << 10

// IsGuard reports whether a process with these arguments is to be a guard. Then
// main does nothing but call [Guard].
func IsGuard(args []string) bool { return len(args) == 2 && args[1] == guardWord }

// Guard runs the guard: control is its standard input, terminal its standard
// output, answer its standard error. It returns when the parent has ended.
func Guard(control io.Reader, terminal *os.File, answer io.Writer) {
	ignoreSignals()
	fd := int(terminal.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return
	}
	if _, err := answer.Write([]byte{ready}); err != nil {
		return
	}
	g := &undo{mode: func() *term.State { s, _ := term.GetState(fd); return s }}
	g.listen(control)
	if !g.taken {
		return
	}
	_, _ = terminal.WriteString(g.leave)
	// A shell that makes a mode of its own knows better; it gets the time to.
	for range shellTries {
		if now := g.mode(); now == nil || g.raw == nil || *now != *g.raw {
			return
		}
		time.Sleep(shellPause)
	}
	_ = term.Restore(fd, before)
}

// undo is what the guard knows of its parent.
type undo struct {
	mode  func() *term.State // the terminal's, now
	taken bool
	raw   *term.State // the mode that the parent has made
	leave string
}

// listen takes the parent's messages, until it has ended.
func (u *undo) listen(control io.Reader) {
	for {
		var b [2]byte
		if _, err := io.ReadFull(control, b[:1]); err != nil {
			return
		}
		switch b[0] {
		case msgTaken:
			u.taken, u.raw = true, u.mode()
		case msgGiven:
			u.taken = false
		case msgLeave:
			if _, err := io.ReadFull(control, b[:]); err != nil {
				return
			}
			n := binary.BigEndian.Uint16(b[:])
			if n > maxLeaveBytes {
				return
			}
			s := make([]byte, n)
			if _, err := io.ReadFull(control, s); err != nil {
				return
			}
			u.leave = string(s)
		}
	}
}

func (g *guard) taken() { g.send([]byte{msgTaken}) }
func (g *guard) given() { g.send([]byte{msgGiven}) }

func (g *guard) setLeave(leave string) {
	if len(leave) > maxLeaveBytes {
		panic("console: internal error: too much to write in the end")
	}
	g.send(append(binary.BigEndian.AppendUint16([]byte{msgLeave}, uint16(len(leave))), leave...))
}
