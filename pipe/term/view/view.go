// Package view is the viewer's side of a shared terminal. It turns the sharer's frames
// into a picture on the viewer's own terminal, or into bytes, text, a recording or JSON
// objects for a pipeline, and sends what is typed.
//
// The picture is drawn from a terminal emulator (package vt) by package draw. So
// nothing that the shared programs print reaches the viewer's terminal but text,
// styles, the cursor, checked links and the title.
package view

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"mesh/pipe/term"
	"mesh/proto"
	"mesh/proto/wire"
)

// Options are the settings of a view.
type Options struct {
	Form Form
	// Out gets the form; for [Screen] it must be a terminal. What [Raw] writes to a
	// terminal is filtered.
	Out io.Writer
	// In is the input to type; nil for none. If it is a terminal, and Form is [Screen], it
	// is put into raw mode, and commands are found by Escape. Otherwise all its bytes are
	// sent, and its end ends the view.
	In *os.File
	// Linger is how long no output must come after the end of In for the view to end; 0
	// means some 300 ms, and with TellsIdle that also the programs that In has started have
	// ended, as far as the sharer knows. ToEnd views until the shared command ends instead.
	Linger time.Duration
	ToEnd  bool
	// TellsIdle says that the sharer knows TERM_IDLE.
	TellsIdle bool
	// Copy, if set, lets the shared programs set the clipboard of Out, with [Screen]. It
	// returns what puts a text into selections (letters of OSC 52).
	Copy func(selections, text string) (sequence string)
	// Escape is the escape character; 0 for none.
	Escape byte
	// Term and ColorTerm are the kind of terminal that Out is, as in the environment
	// variables TERM and COLORTERM.
	Term, ColorTerm string
	// Peer is the sharer's name. The title of Out is set to it and the shared terminal's
	// title; "" leaves the title alone.
	Peer string
	// ReadOnly means that nothing is typed, even if it is allowed.
	ReadOnly bool
	// Name is the viewer's name for others.
	Name string
	// History asks for all output that the sharer still holds, with [Raw], [Plain] and
	// [JSON].
	History bool
	// Strict makes Run fail with [proto.Truncated] in the end if output was missed.
	Strict bool
	// Broken, if set, receives true when the link breaks, and false when it is back. The
	// caller sends; it is never closed.
	Broken <-chan bool
	// Session is the id of the session that this process runs in, if any. To view that
	// one on a terminal fails with [ErrInside]: the picture would contain itself.
	Session string
	// Notice is called with lines for the person, by all forms but Screen; nil to drop
	// them. Text of the sharer in them is escaped.
	Notice func(string)
}

// End is how a view ended, if not by an error.
type End struct {
	// Exited means that the shared command ended: Code is its exit status, or 128 plus the
	// Signal. Otherwise the viewer left.
	Exited       bool
	Code, Signal int
	// Missed is how many bytes of output are missing, because the sharer no longer held
	// them when the viewer could take them; always 0 for Screen and Once.
	Missed int64
}

// ErrLeft is the error of [Run] if the viewer leaves while the link is broken, so that
// the sharer does not know. It is no failure of the view.
var ErrLeft = proto.Errorf(proto.Truncated, "the viewer has left")

// Run views until the shared command or ctx ends, or the viewer leaves. The two pipes
// are those of an exchange of kind "tty" (see [pipe.StartDialogue]): Run reads the
// sharer's frames from one, and writes the viewer's to the other, which it closes. Its
// errors have codes of [proto]; if ctx ends, the error is the cause.
//
// A read of In and a write to Out may continue after Run has returned.
func Run(ctx context.Context, from io.Reader, to io.WriteCloser, o Options) (End, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	keyboard := o.Form == Screen && term.IsTerminal(o.In)
	idle := o.TellsIdle && o.In != nil && !keyboard && o.Linger == 0 && !o.ToEnd
	v := &view{o: o, asksIdle: idle, sender: newSender(to, keyboard), receiver: newReceiver(from, idle), messages: make(chan incoming)}
	sent := make(chan error, 1) // one value, from the goroutine
	go func() {
		err := v.sender.run(ctx)
		if err != nil {
			cancel(err)
		}
		sent <- err
	}()
	go v.readMessages(ctx)
	var err error
	if o.Form == Screen {
		err = v.runScreen(ctx)
	} else {
		err = v.runConverter(ctx)
	}
	if err != nil {
		return v.result, err
	}
	v.sender.finish()
	return v.result, v.closePipes(ctx, to, sent)
}

// closePipes closes the viewer's pipe, and waits for the end of the sharer's.
func (v *view) closePipes(ctx context.Context, to io.Closer, sent <-chan error) error {
	late := time.NewTimer(proto.CloseTimeout)
	defer late.Stop()
	for closed := false; !closed || !v.peerEnded; {
		select {
		case err := <-sent:
			if err == nil {
				err = to.Close()
			}
			if err != nil {
				return err
			}
			closed = true
		case r := <-v.messages:
			v.peerEnded = errors.Is(r.err, io.EOF) || errors.Is(r.err, errCut) && !v.result.Exited
			if r.err != nil && !v.peerEnded {
				return r.err
			}
		case <-late.C:
			return ErrLeft
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// view is the state of one [Run].
type view struct {
	o        Options
	sender   *sender
	receiver *receiver
	asksIdle bool          // for TERM_IDLE
	messages chan incoming // readMessages sends, an error last; never closed

	peerEnded   bool  // the sharer's pipe has ended
	canType     bool  // this viewer may type
	hasSnapshot bool  // a snapshot has arrived
	pos         int64 // all output before it was handled
	result      End
}

// incoming is a message, or the error after the last one.
type incoming struct {
	msg any
	err error
}

func (v *view) readMessages(ctx context.Context) {
	for {
		m, err := v.receiver.readMessage()
		select {
		case v.messages <- incoming{m, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// sendOpen sends the first frame.
func (v *view) sendOpen(cols, rows int) {
	lines := 0
	if v.o.Form == Screen {
		lines = scrollback
	}
	v.sender.send(&wire.TermOpen{
		Scrollback: lines,
		Mode:       v.o.Form.mode(), History: v.o.History && v.o.Form.mode() == wire.TermRaw,
		Cols: min(cols, proto.MaxTermCols), Rows: min(rows, proto.MaxTermRows), Name: v.o.Name, Idle: v.asksIdle,
	})
}

// ErrInside is the error of a view of the session that the viewer itself runs in.
var ErrInside = proto.Errorf(proto.Declined, "this is the session that mesh-tty runs in")

// takeSession handles the sharer's first frame.
func (v *view) takeSession(m *wire.TermSession) error {
	if v.o.Session == m.Session.String() && term.IsTerminal(v.o.Out) {
		return ErrInside
	}
	v.canType = v.allowsTyping(m.Rights)
	return nil
}

// allowsTyping reports whether this view types with the given rights.
func (v *view) allowsTyping(rights string) bool {
	caps, _ := proto.ParseCaps(rights) // the decoder has checked them
	return v.o.In != nil && !v.o.ReadOnly && caps.Has(proto.CapTTYControl)
}

// takeExit handles the sharer's last frame.
func (v *view) takeExit(m *wire.TermExit) {
	v.result.Exited, v.result.Code, v.result.Signal = true, m.Code, m.Signal
}

// positionAfter returns the position after a message that is a part of the output.
func positionAfter(m any) (seq int64, ok bool) {
	switch m := m.(type) {
	case *wire.TermSession:
		return m.Seq, true
	case output:
		return m.seq + int64(len(m.data)), true
	case wire.TermSnapshot:
		return m.Seq, true
	}
	return 0, false
}
