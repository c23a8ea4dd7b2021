// Package view is the viewer's side of a shared terminal: it makes of the sharer's
// frames a picture on the person's own terminal, or bytes, text, a recording or
// objects for a pipeline, and sends what is typed.
//
// The picture is drawn from a terminal emulator (package vt). So nothing that the
// shared programs print gets to the person's terminal but text, colours and
// places.
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

// Options say how to view.
type Options struct {
	Form Form
	// Out is where the form goes to; for [Screen] it is a terminal. What [Raw]
	// writes to a terminal is filtered.
	Out io.Writer
	// In is what is typed; nil for nothing. For [Screen], if it is a terminal, its
	// keys are taken raw and Escape finds commands among them; of anything else
	// all bytes are sent, and its end is the end of the view.
	In *os.File
	// Escape is the escape character; 0 for none.
	Escape byte
	// Term is the kind of terminal that Out is, as TERM in the environment has it.
	Term string
	// Peer is whose terminal it is: the title of Out is that, and the shared
	// terminal's title. "" leaves the title alone.
	Peer string
	// ReadOnly types nothing, even where it is allowed.
	ReadOnly bool
	// Name is how the viewer calls itself.
	Name string
	// History asks for all output that the sharer still has, with [Raw], [Plain]
	// and [JSON].
	History bool
	// Strict makes output that was missed an error, [proto.Truncated], in the end.
	Strict bool
	// Broken, if it is set, tells when the link breaks (true) and when it is back.
	// Whoever runs the exchange sends; it is never closed.
	Broken <-chan bool
	// Session is the session that this process runs in, if it does: to view that
	// on a terminal is declined, because what is drawn would be drawn again.
	Session string
	// Notice is told what a person should know, a line at a time, by forms other
	// than Screen; nil for nobody. What of it is the sharer's is escaped.
	Notice func(string)
}

// End says how a view ended, if not by an error.
type End struct {
	// Exited is set when the shared command ended, with Code its exit status, or
	// 128 and the Signal. Else the viewer left.
	Exited       bool
	Code, Signal int
	// Missed is how many bytes of output were left out, because the sharer no
	// longer had them when there was room for them: of all forms but Screen and Once.
	Missed int64
}

// ErrLeft is how [Run] ends when the viewer leaves and the sharer cannot be told of
// it, because the link is broken. It is no failure of the view.
var ErrLeft = proto.Errorf(proto.Truncated, "the viewer has left")

// Run views until the shared command or the context ends, or the viewer leaves.
// The two pipes are those of an exchange of kind "tty" (see [pipe.StartDialogue]): from has
// the sharer's frames, to takes the viewer's, and Run ends it. An error has a code
// of [proto]; what the context's cause is, if it ended.
//
// A read of In and a write to Out may go on after Run has returned.
func Run(ctx context.Context, from io.Reader, to io.WriteCloser, o Options) (End, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	v := &view{o: o, sender: newSender(to), receiver: newReceiver(from), messages: make(chan received)}
	sent := make(chan error, 1) // one value, from the goroutine
	go func() {
		err := v.sender.run(ctx)
		if err != nil {
			cancel(err)
		}
		sent <- err
	}()
	go v.receive(ctx)
	var err error
	if o.Form == Screen {
		err = v.screen(ctx)
	} else {
		err = v.convert(ctx)
	}
	if err != nil {
		return v.end, err
	}
	v.sender.finish()
	return v.end, v.leave(ctx, to, sent)
}

// leave ends our pipe and waits for the end of the sharer's.
func (v *view) leave(ctx context.Context, to io.Closer, sent <-chan error) error {
	late := time.NewTimer(proto.CloseTimeout)
	defer late.Stop()
	for closed := false; !closed || !v.ended; {
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
			v.ended = errors.Is(r.err, io.EOF) || errors.Is(r.err, errCut) && !v.end.Exited
			if r.err != nil && !v.ended {
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

// view is one run of [Run].
type view struct {
	o        Options
	sender   *sender
	receiver *receiver
	messages chan received // receive sends, an error last; never closed

	ended    bool  // the sharer's pipe has
	types    bool  // this viewer may type
	pictured bool  // a snapshot has come
	pos      int64 // all output before it was taken
	end      End
}

// received is a message, or why there are no more.
type received struct {
	m   any
	err error
}

func (v *view) receive(ctx context.Context) {
	for {
		m, err := v.receiver.next()
		select {
		case v.messages <- received{m, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// open sends the first frame.
func (v *view) open(cols, rows int) {
	lines := 0
	if v.o.Form == Screen {
		lines = scrollback
	}
	v.sender.message(&wire.TermOpen{
		Scrollback: lines,
		Mode:       v.o.Form.mode(), History: v.o.History && v.o.Form.mode() == wire.TermRaw,
		Cols: min(cols, proto.MaxTermCols), Rows: min(rows, proto.MaxTermRows), Name: v.o.Name,
	})
}

// ErrInside ends a view of the session that the viewer runs in, which would show
// itself.
var ErrInside = proto.Errorf(proto.Declined, "this is the session that mesh-tty runs in")

// session takes the sharer's first frame.
func (v *view) session(m *wire.TermSession) error {
	if v.o.Session == m.Session.String() && term.IsTerminal(v.o.Out) {
		return ErrInside
	}
	v.types = v.mayType(m.Rights)
	return nil
}

// mayType reports whether the view types with these rights.
func (v *view) mayType(rights string) bool {
	caps, _ := proto.ParseCaps(rights) // which the decoder has checked
	return v.o.In != nil && !v.o.ReadOnly && caps.Has(proto.CapTTYControl)
}

// exit takes the sharer's last frame.
func (v *view) exit(m *wire.TermExit) {
	v.end.Exited, v.end.Code, v.end.Signal = true, m.Code, m.Signal
}

// behind returns the position behind a message that is a part of the output.
func behind(m any) (seq int64, ok bool) {
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
