// Package share is one terminal that many view and some type into.
//
// All that changes what a viewer sees has one order: output, sizes, marks and the
// end, each at an offset in the output. The newest output is held once, in a
// [history]; each viewer has a place in it and no queue of its own. Who comes
// late, or is too slow, gets a snapshot from the session's own terminal emulator
// instead of what it missed. Nobody is waited for.
//
//	pty -> Output -> history, emulator -> each viewer's goroutine -> its pipe
//	keyboard, viewers' TERM_IN -> arbiter -> pty
package share

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mesh/pipe/term/cast"
	"mesh/pipe/term/vt"
	"mesh/proto"
	"mesh/proto/wire"
)

// DefaultHistory is how many bytes of output are held if nothing else is said.
const DefaultHistory = 2 << 20

// scrollback is how many lines above the screen who comes late can have.
const scrollback = proto.MaxTermScrollback

// Options are what a session may be told.
type Options struct {
	Name       string
	Cols, Rows int
	Size       SizePolicy
	// History is how many bytes of output are held; 0 for [DefaultHistory].
	History int
	// Input takes what is typed. It may block. Nil when nobody can type.
	Input io.Writer
	// Hides, if it is set, reports whether what is typed now is not shown, as a
	// password. The audit does not tell how long such a thing is.
	Hides func() bool
	// Resize, if it is set, gives the terminal another size.
	Resize func(cols, rows int) error
	// Lines says that no terminal's driver has seen the output, as in a file: a line
	// feed alone begins a new line.
	Lines bool
	// Answers says that the emulator answers what the program asks its terminal,
	// because there is no other.
	Answers bool
	// Record and Audit may be nil.
	Record *cast.Writer
	Audit  *Audit
	// Gap, if it is set, is told once that the recording or the audit has a gap,
	// within a second.
	Gap func(error)
	// Changed, if it is set, is told who is there when that changes. It must not
	// block for long, and calls may come at the same time.
	Changed func(Status)
	// Log is told of what goes wrong beside the session; nil for nobody.
	Log *slog.Logger
}

// Status is who is there.
type Status struct {
	Viewers int
	Smaller int      // of them, with terminals smaller than the session's
	Writers []string // who typed lately
	Asking  []string // who asks for the right to type, each with its number
	Paused  bool
	Gap     bool // the recording or the audit has one now
}

// Session is one shared terminal, for as long as its command runs. Its methods
// may be called by many goroutines.
type Session struct {
	// ID is new for each session.
	ID wire.TransferID

	o       Options
	arbiter *arbiter
	recent  recent

	// order is held by whoever adds to the history, and guards the emulator. The
	// locks are taken in the order arbiter, order, mu.
	order      turnstile
	emulator   *vt.Terminal
	answers    []byte      // of the emulator, for the program
	purge      bool        // the emulator's scrollback is to be forgotten
	snapshot   snapshot    // the last one of the screen alone
	scrolled   snapshot    // the last one with lines above
	scrollable time.Time   // when the next such one may be taken
	lines      lines       // of the recording
	recorded   error       // the first failure of the recording
	gap        atomic.Bool // it has one now

	mu      sync.Mutex
	history *history
	cols    int
	rows    int
	exit    *wire.TermExit
	paused  bool
	viewers map[int]*viewer
	last    int // number of the viewer that came last
	// Node ids: who may not come back, and may type or not, whatever its token says.
	banned, granted, muted map[string]bool
	silent                 bool // nobody may type but those granted
	left                   chan struct{}
}

// newlines sets LNM (ECMA-48 7.2.12).
const newlines = "\x1b[20h"

// New returns a session whose terminal is empty.
func New(o Options) *Session {
	if o.History == 0 {
		o.History = DefaultHistory
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Name = Shown(o.Name, proto.MaxTermNameBytes)
	o.Cols, o.Rows = ClampSize(o.Cols, o.Rows)
	s := &Session{
		o:        o,
		emulator: vt.New(o.Cols, o.Rows, scrollback),
		history:  newHistory(min(max(o.History, minHistory), maxHistory)),
		cols:     o.Cols, rows: o.Rows,
		viewers: make(map[int]*viewer),
		banned:  make(map[string]bool),
		granted: make(map[string]bool),
		muted:   make(map[string]bool),
		left:    make(chan struct{}, 1),
	}
	_, _ = rand.Read(s.ID[:]) // never fails
	if o.Lines {
		_, _ = s.emulator.Write([]byte(newlines)) // never fails; snapshots tell the viewers
	}
	if o.Answers {
		s.emulator.Answer = func(p []byte) { s.answers = append(s.answers, p...) }
	}
	s.arbiter = newArbiter(s)
	return s
}

// ClampSize brings a size inside of what a terminal and its messages can have.
func ClampSize(cols, rows int) (int, int) {
	return min(max(cols, vt.MinCols), proto.MaxTermCols), min(max(rows, vt.MinRows), proto.MaxTermRows)
}

// Feed gives the terminal what is typed, until the session ends.
func (s *Session) Feed() { s.arbiter.run() }

// Output takes what the command printed.
func (s *Session) Output(p []byte) {
	if len(p) == 0 {
		return
	}
	s.order.Lock()
	s.mu.Lock()
	s.history.append(p)
	s.wake(true)
	s.mu.Unlock()
	_, _ = s.emulator.Write(p) // never fails
	s.forget()
	s.record(func(c *cast.Writer) error {
		if s.o.Lines {
			p = s.lines.take(p)
		}
		return c.Output(time.Now(), p)
	})
	answers := s.answers
	s.answers = nil
	s.order.Unlock()
	if len(answers) > 0 {
		s.arbiter.answer(answers)
	}
}

// forget makes the emulator forget the scrollback that came while the session was
// paused, as soon as it is not within a sequence. It is called with order held.
func (s *Session) forget() {
	if s.purge && s.emulator.Ground() {
		_, _ = s.emulator.Write([]byte("\x1b[3J"))
		s.purge = false
	}
}

// record writes to the recording, if there is one. What can't be written is lost and
// marked there, and the session goes on; [Options.Gap] is told, and [Session.Recorded]
// tells. It is called with order held.
func (s *Session) record(write func(*cast.Writer) error) {
	if s.o.Record == nil {
		return
	}
	err := write(s.o.Record)
	s.gap.Store(err != nil)
	if err != nil && s.recorded == nil {
		s.recorded = fmt.Errorf("a recording with a gap: %w", err)
	}
}

// Recorded returns the first failure of the recording and the audit.
func (s *Session) Recorded() error {
	s.order.Lock()
	defer s.order.Unlock()
	if s.recorded == nil {
		return s.o.Audit.Err()
	}
	return s.recorded
}

// resize gives the terminal another size, that of a viewer's or the sharer's.
func (s *Session) resize(by *typist, cols, rows int) {
	cols, rows = ClampSize(cols, rows)
	s.order.Lock()
	defer s.order.Unlock()
	s.mu.Lock()
	same := cols == s.cols && rows == s.rows || s.exit != nil
	s.mu.Unlock()
	if same {
		return
	}
	if s.o.Resize != nil {
		if err := s.o.Resize(cols, rows); err != nil {
			s.o.Log.Warn("terminal keeps its size", "err", err)
			return
		}
	}
	s.mu.Lock()
	s.cols, s.rows = cols, rows
	s.history.add(&wire.TermResize{Seq: s.history.end, Cols: cols, Rows: rows})
	s.wake(true)
	s.mu.Unlock()
	s.emulator.Resize(cols, rows)
	s.record(func(c *cast.Writer) error { return c.Resize(time.Now(), cols, rows) })
	s.o.Audit.write(audited{Event: "resize", PeerID: by.id, Peer: by.label, Addr: by.addr, Cols: cols, Rows: rows})
}

// Mark puts a mark into the output.
func (s *Session) Mark(text string) {
	text = Shown(text, proto.MaxTermTextBytes)
	s.order.Lock()
	defer s.order.Unlock()
	s.mu.Lock()
	if s.exit == nil {
		s.history.add(&wire.TermMark{Seq: s.history.end, Text: text})
		s.wake(true)
	}
	s.mu.Unlock()
	s.record(func(c *cast.Writer) error { return c.Mark(time.Now(), text) })
}

// Exit says how the command ended. Nothing comes behind it.
func (s *Session) Exit(code, signal int) {
	s.arbiter.close()
	s.order.Lock()
	defer s.order.Unlock()
	s.mu.Lock()
	s.exit = &wire.TermExit{Seq: s.history.end, Code: code, Signal: signal}
	s.wake(false)
	s.mu.Unlock()
	s.record(func(c *cast.Writer) error { return c.Close(time.Now()) })
	s.o.Audit.write(audited{Event: "exit", Code: &code})
}

// wake wakes the viewers' goroutines: all of them, or those that wait for output.
// It is called with mu held.
func (s *Session) wake(output bool) {
	for _, v := range s.viewers {
		if !output || v.idle {
			v.wake()
		}
	}
}

// Size returns the terminal's size.
func (s *Session) Size() (cols, rows int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cols, s.rows
}

// changed tells everybody who is there.
func (s *Session) changed() {
	s.mu.Lock()
	for _, v := range s.viewers {
		v.news = true
		v.wake()
	}
	s.mu.Unlock()
	if s.o.Changed != nil {
		s.o.Changed(s.status(time.Now()))
	}
}

// status returns who is there now.
func (s *Session) status(now time.Time) Status {
	gap := s.gap.Load() || s.o.Audit.lacks() // which may wait for a slow disk
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{Viewers: len(s.viewers), Writers: s.recent.names(now), Paused: s.paused, Gap: gap}
	for _, n := range slices.Sorted(maps.Keys(s.viewers)) {
		v := s.viewers[n]
		if cols, rows := v.typist.wants(); cols > 0 && (cols < s.cols || rows < s.rows) {
			st.Smaller++
		}
		if v.asks {
			st.Asking = append(st.Asking, fmt.Sprintf("%d %s", n, v.label))
		}
	}
	return st
}

// over reports whether the command has ended.
func (s *Session) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exit != nil
}
