package view

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"mesh/pipe/term"
	"mesh/pipe/term/console"
	"mesh/pipe/term/draw"
	"mesh/pipe/term/keys"
	"mesh/pipe/term/vt"
	"mesh/proto"
	"mesh/proto/wire"
)

const (
	// frameTime is the time between two pictures while more output arrives.
	frameTime = 16 * time.Millisecond
	// syncTime is how long synchronized output (mode 2026) may delay a picture.
	syncTime = 150 * time.Millisecond
	// resizeTime is how long a size must stay the same before it is sent.
	resizeTime = 50 * time.Millisecond
	// flushTime is how long a sequence may take to arrive; then it is the key Escape.
	flushTime = 20 * time.Millisecond
	// noticeTime is how long a notice is shown.
	noticeTime = 3 * time.Second
	// lastTime bounds the time to draw the last picture.
	lastTime = 500 * time.Millisecond
	// typedTime is how long keys may wait for a broken link.
	typedTime = 10 * time.Second
)

// display is a view on a terminal. One goroutine owns it. Another one writes what it
// has painted, so that a terminal that accepts no output delays nothing else.
type display struct {
	*view
	console *console.Console
	t       *vt.Terminal
	window  draw.Window
	painter *draw.Painter
	finder  keys.Finder
	in      *input
	raw     bool   // In is a terminal
	leave   string // what is written before the terminal is given back

	session       wire.TermSession
	ctl           wire.TermCtl
	answered      bool      // the sharer has sent TERM_SESSION
	hasPicture    bool      // a snapshot has arrived
	rightsChanged time.Time // when the right to type last changed
	ending        bool      // no more messages are to come
	help          bool
	notice        string
	noticeUntil   time.Time // until when notice is shown
	brokenSince   time.Time // since when the link is broken; zero if it is not
	dropped       bool      // keys that waited for the link were dropped
	dropping      bool      // keys are dropped, up to the end of a paste
	dropBytes     int       // how many were dropped since then
	keysCame      time.Time // when the last keys came

	copied     string // sets the clipboard, with the next picture
	dirty      bool
	painting   bool
	painted    time.Time   // the last picture
	syncSince  time.Time   // since when mode 2026 delays the picture; zero if it does not
	paintedSeq int64       // the output position of what is being painted; -1 for none
	frames     chan []byte // paint sends, writeFrames receives; one at a time; never closed
	done       chan error  // writeFrames sends one for each frame; never closed

	frameTimer, resizeTimer, flushTimer, noticeTimer, lastTimer *time.Timer
}

// runScreen views on a terminal.
func (v *view) runScreen(ctx context.Context) (err error) {
	out, ok := v.o.Out.(*os.File)
	if !ok || !term.IsTerminal(out) {
		return proto.Errorf(proto.Usage, "the screen needs a terminal")
	}
	d := &display{
		view: v, t: vt.New(80, 24, history), painter: draw.NewPainter(v.o.Term, v.o.ColorTerm), in: newInput(v.sender, v.o, v.asksIdle), raw: term.IsTerminal(v.o.In), dirty: true,
		frames: make(chan []byte, 1), done: make(chan error, 1),
		frameTimer: stoppedTimer(), resizeTimer: stoppedTimer(), flushTimer: stoppedTimer(), noticeTimer: stoppedTimer(), lastTimer: stoppedTimer(),
	}
	if v.o.Copy != nil {
		d.t.Copy = d.copy
	}
	d.finder.Char, d.finder.Reports = v.o.Escape, true
	var keyboard *os.File
	if d.raw {
		keyboard = v.o.In
	}
	sequences := console.Options{Enter: console.Alternate + draw.Setup, Leave: console.Reset + console.Main}
	if v.o.Peer != "" {
		sequences.Enter += console.PushTitle
		sequences.Leave += console.PopTitle
	}
	d.leave = sequences.Leave
	d.console, err = console.Open(keyboard, out, sequences)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := d.console.Close(); err == nil {
			err = cerr
		}
	}()
	d.window.Cols, d.window.Rows = d.console.Size()
	v.sendOpen(d.window.Cols, d.window.Rows)
	if d.raw {
		d.in.start(ctx, v.o.In)
	}
	writing, stop := context.WithCancel(ctx)
	defer stop()
	go d.writeFrames(writing)
	return d.loop(ctx)
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// writeFrames writes the painted frames to the terminal.
func (d *display) writeFrames(ctx context.Context) {
	defer d.console.Protect()
	for {
		select {
		case f := <-d.frames:
			_, err := d.console.Write(f)
			d.done <- err
		case <-ctx.Done():
			return
		}
	}
}

// loop runs until the session ends or the viewer leaves.
func (d *display) loop(ctx context.Context) error {
	for !d.ending || d.dirty || d.painting {
		d.paint()
		var messages <-chan incoming
		if !d.ending {
			messages = d.messages
		}
		select {
		case r := <-messages:
			if err := d.takeMessage(ctx, r); err != nil {
				return err
			}
		case err := <-d.done:
			d.painting = false
			if err != nil {
				return err
			}
			d.sender.acknowledge(d.paintedSeq)
		case chunk, ok := <-d.in.chunks():
			if leaves := d.takeInput(chunk, ok); leaves {
				return nil
			}
		case <-d.flushTimer.C:
			if leaves := d.takeKeys(d.finder.Flush()); leaves {
				return nil
			}
		case <-d.sender.room:
			d.in.retry()
		case <-d.in.settled():
			return d.in.unconfirmed()
		case <-d.console.Changed():
			d.window.Cols, d.window.Rows = d.console.Size()
			d.painter.Forget()
			d.dirty = true
			d.resizeTimer.Reset(resizeTime)
		case <-d.resizeTimer.C:
			d.sendSize()
		case broken := <-d.o.Broken:
			d.setBroken(broken)
		case <-d.frameTimer.C:
		case <-d.lastTimer.C:
			return nil
		case <-d.noticeTimer.C:
			d.dirty = true
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// takeMessage handles a message of the sharer.
func (d *display) takeMessage(ctx context.Context, r incoming) error {
	if errors.Is(r.err, io.EOF) {
		d.peerEnded, d.ending, d.dirty = true, true, true
		d.lastTimer.Reset(lastTime)
		return nil
	}
	if r.err != nil {
		return r.err
	}
	switch m := r.msg.(type) {
	case *wire.TermSession:
		return d.takeAnswer(ctx, m)
	case output:
		_, _ = d.t.Write(m.data)
	case wire.TermSnapshot:
		d.t.Resize(m.Cols, m.Rows)
		_, _ = d.t.Write([]byte("\x1b\\")) // ends an unfinished sequence
		_, _ = d.t.Write(m.Repaint)
		d.hasPicture = true
	case *wire.TermResize:
		d.t.Resize(m.Cols, m.Rows)
	case *wire.TermIdle:
		d.in.setIdle(m)
	case *wire.TermCtl:
		d.in.setAccepted(m.Typed)
		d.ctl = *m
		d.setRights(m.Rights)
		if m.Notice != "" {
			d.showNotice(proto.EscapeText(m.Notice))
		}
	case *wire.TermExit:
		d.takeExit(m)
		d.ending = true
		d.lastTimer.Reset(lastTime)
	}
	if seq, ok := positionAfter(r.msg); ok {
		d.pos = seq
		d.in.setPos(seq)
	}
	d.dirty = true
	return nil
}

// takeAnswer handles the first message.
func (d *display) takeAnswer(ctx context.Context, m *wire.TermSession) error {
	if err := d.takeSession(m); err != nil {
		return err
	}
	d.session, d.pos, d.answered = *m, m.Seq, true
	d.t.Resize(m.Cols, m.Rows)
	if !d.canType {
		d.finder.Anywhere = true
	}
	if d.o.In == nil || d.raw {
		return nil
	}
	if !d.canType {
		return errMayNotType
	}
	d.in.start(ctx, d.o.In)
	return nil
}

// paint sends the next picture to writeFrames, if it has changed and is due.
func (d *display) paint() {
	if !d.dirty || d.painting {
		return
	}
	now := time.Now()
	if wait := d.frameWait(now); wait > 0 && !d.ending {
		d.frameTimer.Reset(wait)
		return
	}
	d.updateStatus(now)
	use := draw.KeysUnused
	if d.canType && d.raw {
		use = draw.KeysParsed
	}
	p := d.window.Picture(d.t, use)
	p.Title = draw.Title(d.o.Peer, d.session.Name, d.t)
	painted := slices.Concat([]byte(d.copied), d.painter.Paint(p))
	if d.painter.ColorsCursor() {
		d.console.SetLeave(draw.ResetCursorColor + d.leave)
	}
	d.copied = ""
	d.dirty, d.paintedSeq = false, -1
	if d.hasPicture {
		d.paintedSeq = d.pos
	}
	if len(painted) == 0 {
		d.sender.acknowledge(d.paintedSeq)
		return
	}
	d.painted = now
	d.painting = true
	d.frames <- painted // does not block: the last one is done
}

// frameWait returns how long the next picture must wait: for frameTime, and for the
// program that is drawing it.
func (d *display) frameWait(now time.Time) time.Duration {
	wait := frameTime - now.Sub(d.painted)
	if !d.t.Modes().Sync {
		d.syncSince = time.Time{}
		return wait
	}
	if d.syncSince.IsZero() {
		d.syncSince = now
	}
	return max(wait, syncTime-now.Sub(d.syncSince))
}

// sendSize tells the sharer the size of this terminal, if the viewer may type.
func (d *display) sendSize() {
	if d.canType {
		d.sender.sendSize(&wire.TermResize{Cols: min(d.window.Cols, proto.MaxTermCols), Rows: min(d.window.Rows, proto.MaxTermRows)})
	}
}
