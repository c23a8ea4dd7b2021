// Package share shares one terminal: many view it, and some type into it.
//
// Everything that changes what a viewer sees has one order: output, sizes, marks and
// the end, each at an offset in the output. The newest output is kept once, in a
// [history]. Each viewer has a place in it and no queue of its own. A viewer that
// joins late or reads too slowly gets a snapshot from the session's terminal emulator
// instead of what it missed. The session never waits for a viewer.
//
//	pty -> Output -> output: stream, emulator -> each viewer's subscriber -> its pipe
//	keyboard, viewers' TERM_IN -> arbiter -> pty
//
// A [Session] has three parts: the [arbiter] orders what is typed, the [output] what
// is shown, and [viewers] knows who is connected, with which rights.
//
// Lock order: a goroutine that holds one of these locks takes only locks to the right
// of it:
//
//	arbiter.mu -> output.order -> stream.mu
//	viewers.mu -> stream.mu
//
// Audit.mu, typist.mu, recent.mu and flow.mu are leaves: their holder takes no other lock.
package share

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"mesh/pipe/term/cast"
	"mesh/pipe/term/vt"
	"mesh/proto"
	"mesh/proto/wire"
)

// DefaultHistory is how many bytes of output a session keeps by default.
const DefaultHistory = 2 << 20

// Options are the settings of a session.
type Options struct {
	Name       string
	Cols, Rows int
	Size       SizePolicy
	// History is how many bytes of output are kept; 0 means [DefaultHistory].
	History int
	// Input takes what is typed. Its Write may block. Nil if nobody can type.
	Input io.Writer
	// Hides, if set, reports whether the terminal shows nothing of what is typed now,
	// as for a password. The audit does not tell how long hidden input is.
	Hides func() bool
	// Flow, if set, returns the keys that stop and continue the output now. When somebody
	// has stopped it, viewers that may type are told how it continues.
	Flow func() Flow
	// Foreground, if set, returns what runs in the foreground of the terminal, and HasJob
	// whether something does that was started since Foreground returned before. Both are
	// set or none.
	Foreground func() int
	HasJob     func(before int) bool
	// Resize, if set, gives the terminal another size.
	Resize func(cols, rows int) error
	// Lines means that no terminal driver has seen the output, as in a file: a line
	// feed alone begins a new line.
	Lines bool
	// Answers means that the emulator answers the program's queries, because no other
	// terminal does.
	Answers bool
	// Record and Audit may be nil.
	Record *cast.Writer
	Audit  *Audit
	// Gap, if set, is called once, within a second, when the recording or the audit
	// lacks something.
	Gap func(error)
	// Changed, if set, is called when the status changes. It must not block for long.
	// Several calls may run at the same time.
	Changed func(Status)
	// Joined and Asked, if they are set, are called when a viewer comes, and when one asks
	// for the right to type. name is safe to show.
	Joined, Asked func(who Visitor, name string)
	// Tokens, if set, returns the tokens that admit viewers, for the sharer's eyes. It
	// replaces those for which closed, which gets a token's id, returns true.
	Tokens func(closed func(id string) bool) ([]Token, error)
	// Show, if set, shows lines to the sharer, but not to viewers.
	Show func(lines []string)
	// Log gets failures that do not end the session; nil means no log.
	Log *slog.Logger
}

// Token is a token that admits viewers.
type Token struct {
	Text   string `json:"text"`   // secret
	How    string `json:"how"`    // the command that uses it
	Rights string `json:"rights"` // what its bearer may do
}

// Status describes the session to the sharer.
type Status struct {
	Viewers int
	Smaller int      // viewers whose terminals are smaller than the shared one
	Writers []string // those who typed lately
	Asking  []string // viewers that ask for the right to type, each with its number
	Paused  bool
	Held    bool // somebody has stopped the output with Ctrl-S
	Gap     bool // the recording or the audit lacks something now
}

// Session is one shared terminal, for as long as its command runs. Its methods may be
// called concurrently.
type Session struct {
	// ID is random.
	ID wire.TransferID

	o       Options
	arbiter *arbiter
	output  *output
	viewers *viewers

	snapshots atomic.Int64 // that viewers got
}

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
	s := &Session{o: o}
	_, _ = rand.Read(s.ID[:]) // never fails
	s.output = newOutput(&s.o)
	s.viewers = newViewers(o.Input != nil, &s.output.stream)
	s.arbiter = newArbiter(&s.o, s.output, s.statusChanged)
	return s
}

// Begin writes the audit's first line.
func (s *Session) Begin() {
	cols, rows := s.Size()
	s.o.Audit.write(audited{Event: "share", Name: s.o.Name, Cols: cols, Rows: rows})
}

// Feed writes what is typed to [Options.Input], until the session ends. It may stay in
// a Write that blocks for longer.
func (s *Session) Feed() { s.arbiter.run() }

// Type takes what the sharer's own keyboard sends. It does not block.
func (s *Session) Type(p []byte) { s.arbiter.typeLocal(p) }

// Output takes what the command prints.
func (s *Session) Output(p []byte) {
	if len(p) == 0 {
		return
	}
	if replies := s.output.write(p); len(replies) > 0 {
		s.arbiter.typeReply(replies)
	}
}

// Mark puts a mark into the output.
func (s *Session) Mark(text string) { s.output.mark(Shown(text, proto.MaxTermTextBytes)) }

// Exit sets how the command ended. Nothing may be added to the output afterwards.
func (s *Session) Exit(code, signal int) {
	s.arbiter.close()
	s.output.exit(code, signal)
}

// Over reports whether the command has ended.
func (s *Session) Over() bool { return s.output.stream.isOver() }

// Size returns the terminal's size.
func (s *Session) Size() (cols, rows int) { return s.output.stream.size() }

// Resize sets the size of the sharer's own terminal. The shared terminal has the same
// unless the policy gives it another.
func (s *Session) Resize(cols, rows int) { s.arbiter.resizeLocal(cols, rows) }

// Screen calls f with the emulator, which nothing else uses meanwhile. f must not call
// the session.
func (s *Session) Screen(f func(t *vt.Terminal)) {
	s.output.order.Lock()
	defer s.output.order.Unlock()
	f(s.output.emulator)
}

// Repaint returns the bytes that draw the screen.
func (s *Session) Repaint() []byte { return s.output.snapshot(0, place{}).repaint }

// Recorded returns the first failure of the recording or the audit.
func (s *Session) Recorded() error {
	if err := s.output.recordingErr(); err != nil {
		return err
	}
	return s.o.Audit.Err()
}

// Pause withholds all output from viewers, and drops what they type, until it is
// called with false. Viewers never see what was printed meanwhile, except what is
// still on the screen then.
func (s *Session) Pause(paused bool) {
	if !s.output.pause(paused) {
		return
	}
	event := "resume"
	if paused {
		event = "pause"
		s.arbiter.pause()
	}
	s.o.Audit.write(audited{Event: event})
	s.statusChanged()
}

// statusChanged tells viewers and the sharer the new status.
func (s *Session) statusChanged() {
	s.viewers.wakeAll()
	if s.o.Changed != nil {
		s.o.Changed(s.status(time.Now()))
	}
}

// Status returns the status as it is now.
func (s *Session) Status() Status { return s.status(time.Now()) }

// Snapshots returns how many snapshots viewers have got.
func (s *Session) Snapshots() int64 { return s.snapshots.Load() }

func (s *Session) status(now time.Time) Status {
	gap := s.output.gap.Load() || s.o.Audit.hasGap() // may wait for a slow disk
	cols, rows := s.Size()
	st := Status{Writers: s.arbiter.recent.names(now), Paused: s.output.stream.isPaused(), Gap: gap}
	st.Held = !st.Paused && s.arbiter.flow.isHeld(s.output.stream.position(), now)
	for _, v := range s.viewers.all() {
		st.Viewers++
		if c, r := v.typist.ownSize(); c > 0 && (c < cols || r < rows) {
			st.Smaller++
		}
		if s.viewers.isAsking(v) {
			st.Asking = append(st.Asking, fmt.Sprintf("%d %s", v.number, v.label))
		}
	}
	return st
}

// Watch reports a new status when somebody has stopped typing, or something else has
// changed with time. It blocks until ctx ends.
func (s *Session) Watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var last Status
	told := s.o.Gap == nil
	for {
		select {
		case now := <-tick.C:
			s.o.Audit.flushOld(now)
			st := s.status(now)
			if len(st.Writers) < len(last.Writers) || st.Smaller != last.Smaller || st.Gap != last.Gap || st.Held != last.Held {
				s.statusChanged()
			}
			if st.Held {
				s.viewers.tellHeld()
			}
			last = st
			if err := s.Recorded(); err != nil && !told {
				s.o.Gap(err)
				told = true
			}
		case <-ctx.Done():
			return
		}
	}
}
