package console

import (
	"encoding/binary"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// The restorer is a second process of this binary, with the terminal as its standard
// output. Its parent tells it what there is to undo. When the parent ends without
// having undone that, the restorer does: it writes the parent's leave sequence and
// restores the terminal's mode. Otherwise a parent that was killed would leave bash on
// the wrong screen without a cursor, and dash on a terminal where Enter does nothing.
//
// The parent's messages are one byte each; a string follows msgLeave.
const (
	// restorerArg is the only argument. An older mesh may start a newer binary that
	// has replaced its own, so the word stays the same.
	restorerArg = "--guard-terminal"
	ready       = '!' // the restorer's answer, once it knows the terminal's mode
)

const (
	msgTakenOver = 'T' // from now on there is something to undo
	msgGivenBack = 'G' // there is nothing to undo
	msgLeave     = 'L' // u16 length, big endian, and the leave sequence
)

// How often, and at what interval, the restorer checks whether a shell sets the
// terminal's mode itself, as bash does and dash does not.
const (
	shellChecks   = 10
	shellInterval = 5 * time.Millisecond
)

// maxLeaveBytes bounds the leave sequence.
const maxLeaveBytes = 4 << 10

// IsRestorer reports whether a process with these arguments is a restorer. Its main
// does nothing but call [RunRestorer].
func IsRestorer(args []string) bool { return len(args) == 2 && args[1] == restorerArg }

// RunRestorer runs the restorer. control is its standard input, terminal its standard
// output, answer its standard error. It returns when the parent has ended and the
// terminal is restored.
func RunRestorer(control io.Reader, terminal *os.File, answer io.Writer) {
	ignoreSignals()
	fd := int(terminal.Fd())
	original, err := term.GetState(fd)
	if err != nil {
		return
	}
	if _, err := answer.Write([]byte{ready}); err != nil {
		return
	}
	p := &parentState{mode: func() *term.State { s, _ := term.GetState(fd); return s }}
	p.follow(control)
	if !p.owned {
		return
	}
	_, _ = terminal.WriteString(p.leave)
	// The mode that a shell sets itself is the right one: give it time to do so.
	for range shellChecks {
		if now := p.mode(); now == nil || p.raw == nil || *now != *p.raw {
			return
		}
		time.Sleep(shellInterval)
	}
	_ = term.Restore(fd, original)
}

// parentState is what the restorer knows about its parent.
type parentState struct {
	mode  func() *term.State // returns the terminal's current mode
	owned bool               // the parent has taken the terminal over
	raw   *term.State        // the mode that the parent has set
	leave string
}

// follow reads the parent's messages until the parent has ended.
func (p *parentState) follow(control io.Reader) {
	for {
		var b [2]byte
		if _, err := io.ReadFull(control, b[:1]); err != nil {
			return
		}
		switch b[0] {
		case msgTakenOver:
			p.owned, p.raw = true, p.mode()
		case msgGivenBack:
			p.owned = false
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
			p.leave = string(s)
		}
	}
}

func (r *restorer) takenOver() { r.send([]byte{msgTakenOver}) }
func (r *restorer) givenBack() { r.send([]byte{msgGivenBack}) }

func (r *restorer) setLeave(leave string) {
	if len(leave) > maxLeaveBytes {
		panic("console: internal error: the leave sequence is too long")
	}
	r.send(append(binary.BigEndian.AppendUint16([]byte{msgLeave}, uint16(len(leave))), leave...))
}
