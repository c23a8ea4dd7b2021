package view

import (
	"context"
	"errors"
	"io"
	"os"
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
	// frameTime is the time between two pictures, while more comes.
	frameTime = 16 * time.Millisecond
	// syncTime is how long a program may have a half drawn picture held back.
	syncTime = 150 * time.Millisecond
	// resizeTime is how long a size must last until the sharer is told of it.
	resizeTime = 50 * time.Millisecond
	// flushTime is how long keys may take that a terminal sends at once.
	flushTime = 20 * time.Millisecond
	// noticeTime is how long a notice is shown.
	noticeTime = 3 * time.Second
	// lastTime is how long the last picture may take.
	lastTime = 500 * time.Millisecond
	// typedTime is how old keys may be that waited for a broken link.
	typedTime = 10 * time.Second
)

// screen is a view on a terminal. One goroutine owns it; another one writes what it
// has painted, so that a terminal that takes no output holds up nothing else.
type screen struct {
	*view
	console *console.Console
	t       *vt.Terminal
	window  draw.Window
	painter *draw.Painter
	finder  keys.Finder
	in      *input
	raw     bool // In is a terminal

	info    wire.TermSession
	ctl     wire.TermCtl
	opened  bool      // the sharer has answered
	began   bool      // there is a picture
	turned  time.Time // when the right to type was given or taken
	last    bool      // there is no more to come
	help    bool
	notes   string
	noted   time.Time // until when notes are shown
	broken  time.Time // since when the link is; zero if it is not
	dropped bool      // what waited for it was dropped

	dirty    bool
	painting bool
	painted  time.Time   // the last picture
	held     time.Time   // since when the program holds it back; zero if it does not
	seq      int64       // of what is being painted
	frames   chan []byte // one at a time, to write
	done     chan error  // of each frame, from it

	frame, resize, flush, note, giveUp *time.Timer
}

// screen views on a terminal.
func (v *view) screen(ctx context.Context) (err error) {
	out, ok := v.o.Out.(*os.File)
	if !ok || !term.IsTerminal(out) {
		return proto.Errorf(proto.Usage, "the screen needs a terminal")
	}
	s := &screen{
		view: v, t: vt.New(80, 24, history), painter: draw.NewPainter(v.o.Term), in: newInput(v.sender), raw: term.IsTerminal(v.o.In), dirty: true,
		frames: make(chan []byte, 1), done: make(chan error, 1),
		frame: stopped(), resize: stopped(), flush: stopped(), note: stopped(), giveUp: stopped(),
	}
	s.finder.Char = v.o.Escape
	var keyboard *os.File
	if s.raw {
		keyboard = v.o.In
	}
	taking := console.Options{Enter: console.Alternate + draw.Setup, Leave: console.Reset + console.Main}
	if v.o.Peer != "" {
		taking.Enter += console.PushTitle
		taking.Leave += console.PopTitle
	}
	s.console, err = console.Open(keyboard, out, taking)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := s.console.Close(); err == nil {
			err = cerr
		}
	}()
	s.window.Cols, s.window.Rows = s.console.Size()
	v.open(s.window.Cols, s.window.Rows)
	if s.raw {
		s.in.start(ctx, v.o.In)
	}
	writing, stop := context.WithCancel(ctx)
	defer stop()
	go s.write(writing)
	return s.loop(ctx)
}

func stopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// write writes frames to the terminal.
func (s *screen) write(ctx context.Context) {
	defer s.console.Protect()
	for {
		select {
		case f := <-s.frames:
			_, err := s.console.Write(f)
			s.done <- err
		case <-ctx.Done():
			return
		}
	}
}

// loop runs until the end of the session, or the viewer leaves.
func (s *screen) loop(ctx context.Context) error {
	for !s.last || s.dirty || s.painting {
		s.paint()
		var messages <-chan received
		if !s.last {
			messages = s.messages
		}
		select {
		case r := <-messages:
			if err := s.receive(ctx, r); err != nil {
				return err
			}
		case err := <-s.done:
			s.painting = false
			if err != nil {
				return err
			}
			s.sender.shown(s.seq)
		case chunk, ok := <-s.in.chunks():
			if leaves := s.typed(chunk, ok); leaves {
				return nil
			}
		case <-s.flush.C:
			if leaves := s.send(s.finder.Flush()); leaves {
				return nil
			}
		case <-s.sender.room:
			s.in.retry()
		case <-s.in.settled():
			return nil
		case <-s.console.Changed():
			s.window.Cols, s.window.Rows = s.console.Size()
			s.painter.Forget()
			s.dirty = true
			s.resize.Reset(resizeTime)
		case <-s.resize.C:
			s.tellSize()
		case broken := <-s.o.Broken:
			s.link(broken)
		case <-s.frame.C:
		case <-s.giveUp.C:
			return nil
		case <-s.note.C:
			s.dirty = true
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// receive takes a message.
func (s *screen) receive(ctx context.Context, r received) error {
	if errors.Is(r.err, io.EOF) {
		s.ended, s.last, s.dirty = true, true, true
		s.giveUp.Reset(lastTime)
		return nil
	}
	if r.err != nil {
		return r.err
	}
	switch m := r.m.(type) {
	case *wire.TermSession:
		return s.answered(ctx, m)
	case output:
		_, _ = s.t.Write(m.data)
	case wire.TermSnapshot:
		s.t.Resize(m.Cols, m.Rows)
		_, _ = s.t.Write([]byte("\x1b\\")) // whatever was unfinished
		_, _ = s.t.Write(m.Repaint)
		s.began = true
	case *wire.TermResize:
		s.t.Resize(m.Cols, m.Rows)
	case *wire.TermCtl:
		s.in.typed(m.Typed)
		s.ctl = *m
		s.may(m.Rights)
		if m.Notice != "" {
			s.say(proto.EscapeText(m.Notice))
		}
	case *wire.TermExit:
		s.exit(m)
		s.last = true
		s.giveUp.Reset(lastTime)
	}
	if seq, ok := behind(r.m); ok {
		s.pos = seq
		s.in.heard()
	}
	s.dirty = true
	return nil
}

func (s *screen) answered(ctx context.Context, m *wire.TermSession) error {
	if err := s.session(m); err != nil {
		return err
	}
	s.info, s.pos, s.opened = *m, m.Seq, true
	s.t.Resize(m.Cols, m.Rows)
	if !s.types {
		s.finder.Anywhere = true
	}
	if s.o.In == nil || s.raw {
		return nil
	}
	if !s.types {
		return errMayNotType
	}
	s.in.start(ctx, s.o.In)
	return nil
}

// paint has the picture drawn, if there is one to be drawn and now is the time.
func (s *screen) paint() {
	if !s.dirty || s.painting {
		return
	}
	now := time.Now()
	if wait := s.wait(now); wait > 0 && !s.last {
		s.frame.Reset(wait)
		return
	}
	s.line(now)
	use := draw.KeysUnused
	if s.types && s.raw {
		use = draw.KeysParsed
	}
	p := s.window.Picture(s.t, use)
	p.Title = draw.Title(s.o.Peer, s.info.Name, s.t)
	painted := s.painter.Paint(p)
	s.dirty, s.seq = false, -1
	if s.began {
		s.seq = s.pos
	}
	if len(painted) == 0 {
		s.sender.shown(s.seq)
		return
	}
	s.painted = now
	s.painting = true
	s.frames <- painted // there is room, since the last one is done
}

// wait is how long the next picture must wait: for the last to be old enough, and
// for a program that draws it.
func (s *screen) wait(now time.Time) time.Duration {
	wait := frameTime - now.Sub(s.painted)
	if !s.t.Modes().Sync {
		s.held = time.Time{}
		return wait
	}
	if s.held.IsZero() {
		s.held = now
	}
	return max(wait, syncTime-now.Sub(s.held))
}

// tellSize asks for the size of the viewer's terminal, if it may.
func (s *screen) tellSize() {
	if s.types {
		s.sender.resize(&wire.TermResize{Cols: min(s.window.Cols, proto.MaxTermCols), Rows: min(s.window.Rows, proto.MaxTermRows)})
	}
}
