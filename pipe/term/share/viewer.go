package share

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"mesh/pipe/term/keys"
	"mesh/proto"
	"mesh/proto/wire"
)

// maxWaiting is how many TERM_INs of a viewer wait for its turn to type. A viewer sends
// fewer bytes before they are confirmed, so that its Ctrl-C is read at once.
const maxWaiting = 64

// Visitor is a peer that asks to view.
type Visitor struct {
	ID   string // the node id, as text
	Name string // in our address book; may be empty
	Addr string
	Caps proto.Caps
	// Token is the id of the token that admitted the peer, as text; "" if the list of
	// authorized peers did.
	Token string
}

// viewer is one connected viewer.
type viewer struct {
	session *Session
	number  int
	who     Visitor
	label   string // its name as others see it, safe to show
	joined  time.Time
	open    wire.TermOpen
	typist  *typist
	sub     subscriber
	ctlDue  atomic.Bool                   // there is news for a TERM_CTL
	idle    atomic.Pointer[wire.TermIdle] // the next TERM_IDLE; nil for none
	keys    chan chunk                    // TERM_INs; read sends and closes
	fail    func(error)                   // ends the viewer's pipes; the first call counts

	// Guarded by viewers.mu.
	notice      string
	everAllowed bool // may type, or once did
	asking      bool // for the right to type

	filter keys.Filter // follows the input; used by read alone

	sized     time.Time // the last TERM_RESIZE; used by read alone
	announced time.Time // the last TERM_CTL; used by write alone
}

// chunk is the input of one TERM_IN, whether it came during a pause, and behind which
// interrupt.
type chunk struct {
	keys       []byte
	paused     bool
	interrupts int
}

// notify makes a TERM_CTL due. It does not interrupt a wait for anything but output.
func (v *viewer) notify() {
	v.ctlDue.Store(true) // before the look at idle: see prepare
	v.sub.wakeIfIdle()
}

// Serve shows the session to one viewer, until either of them ends. It is a side for
// [mesh/pipe.StartDialogue].
func (s *Session) Serve(ctx context.Context, from *io.PipeReader, to *io.PipeWriter, who Visitor) error {
	if !who.Caps.Has(proto.CapTTYView) {
		return proto.Errorf(proto.Capability, "the peer may not view")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	fail := func(err error) { // the first error counts, here and in the pipes
		cancel(err)
		_ = from.CloseWithError(err)
		_ = to.CloseWithError(err)
	}
	r := bufio.NewReaderSize(from, proto.MaxTermInBytes)
	var open wire.TermOpen
	if _, body, err := wire.ReadFrame(r, wire.TypeTermOpen); err != nil {
		return truncated(err)
	} else if err := wire.ParseBody(body, &open); err != nil {
		return err
	}
	v, err := s.join(who, open, fail)
	if err != nil {
		return err
	}
	// A viewer whose link has ended no longer waits for its turn to type.
	stop := context.AfterFunc(ctx, func() { s.arbiter.leave(v.typist) })
	readEnded := make(chan struct{}) // closed by the reading goroutine
	var wg sync.WaitGroup
	wg.Go(v.typeKeys)
	stopWatch := v.startIdle(ctx, &wg)
	wg.Go(func() {
		defer close(readEnded)
		defer close(v.keys)
		if err := v.read(ctx, r); err != nil {
			fail(err)
		}
		v.sub.wake()
	})
	if err := v.write(ctx, to, readEnded); err != nil {
		fail(err)
	} else {
		_ = to.Close() // never fails
	}
	stopWatch()
	// A viewer that has left does not wait for a terminal that accepts nothing.
	late := time.AfterFunc(EndTime, func() { s.arbiter.leave(v.typist) })
	wg.Wait()
	late.Stop()
	if !stop() { // it has begun: wait for its end
		s.arbiter.leave(v.typist)
	}
	s.leave(v)
	return context.Cause(ctx)
}

// join adds a viewer.
func (s *Session) join(who Visitor, open wire.TermOpen, fail func(error)) (*viewer, error) {
	v := &viewer{
		session: s, who: who, label: label(who, open.Name), joined: time.Now(), open: open, fail: fail,
		sub: subscriber{woken: make(chan struct{}, 1)}, keys: make(chan chunk, maxWaiting),
	}
	v.ctlDue.Store(true)
	v.typist = &typist{label: v.label, id: who.ID, addr: who.Addr, cols: open.Cols, rows: open.Rows, notify: v.notify}
	if err := s.viewers.add(v); err != nil {
		return nil, err
	}
	joined := v.audited("join")
	joined.Rights = v.rights().String()
	s.o.Audit.write(joined)
	s.statusChanged()
	if s.o.Joined != nil {
		s.o.Joined(who, v.label)
	}
	return v, nil
}

// leave removes a viewer.
func (s *Session) leave(v *viewer) {
	s.arbiter.leave(v.typist)
	s.viewers.remove(v)
	s.o.Audit.write(v.audited("leave"))
	s.statusChanged()
}

// typeKeys types what read receives. It has a goroutine of its own, so that a viewer
// that waits for its turn still sees what others do.
func (v *viewer) typeKeys() {
	for c := range v.keys {
		v.session.arbiter.typeRemote(v.typist, c.keys, c.paused, c.interrupts)
	}
}

// truncated returns the error of frames that end too early.
func truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return proto.Errorf(proto.Truncated, "the peer's frames ended before their end")
	}
	return err
}

// read handles the viewer's frames until it ends its side.
func (v *viewer) read(ctx context.Context, r io.Reader) error {
	for {
		t, body, err := wire.ReadFrame(r, wire.TypeTermAck, wire.TypeTermIn, wire.TypeTermResize, wire.TypeTermCtl)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return truncated(err)
		}
		switch t {
		case wire.TypeTermAck:
			var m wire.TermAck
			if err = wire.ParseBody(body, &m); err == nil {
				err = v.sub.ack(m.Seq)
			}
		case wire.TypeTermIn:
			if err = wire.CheckTermIn(body); err == nil {
				err = v.input(body)
			}
		case wire.TypeTermResize:
			var m wire.TermResize
			if err = wire.ParseBody(body, &m); err == nil {
				err = v.resize(ctx, m)
			}
		case wire.TypeTermCtl:
			var m wire.TermCtl
			if err = wire.ParseBody(body, &m); err == nil {
				err = v.ask(&m)
			}
		}
		if err != nil {
			return err
		}
	}
}

// input queues keys. Ctrl-C as the last one drops a flood before it. A viewer that never had the right to type is disconnected. After
// a revocation its input is ignored, because it may not know of that yet.
func (v *viewer) input(input []byte) error {
	if !v.session.viewers.wasEverAllowed(v) {
		return errCapability
	}
	a := v.session.arbiter
	v.filter.Pass(input)
	if !v.filter.Pasting() && keys.LastInterrupt(input) != nil {
		a.interrupt(v.typist)
	}
	v.keys <- chunk{input, v.session.output.stream.isPaused(), a.interruptsOf(v.typist)}
	return nil
}

// resize takes the size of the viewer's own terminal. It waits if the last one came
// just before, so that the command does not get too many.
func (v *viewer) resize(ctx context.Context, m wire.TermResize) error {
	if !v.session.viewers.wasEverAllowed(v) {
		return errCapability
	}
	if m.Seq != 0 {
		return proto.Errorf(proto.Protocol, "%s out of order", wire.TypeTermResize)
	}
	if wait := SizeTime - time.Since(v.sized); wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	v.sized = time.Now()
	v.session.arbiter.resizeRemote(v.typist, m.Cols, m.Rows)
	return nil
}

var errCapability = proto.Errorf(proto.Capability, "a viewer types without being allowed to")

// ask takes a viewer's request for the right to type. A request that is still open is
// not made again.
func (v *viewer) ask(m *wire.TermCtl) error {
	if !m.Ask || m.Viewers != 0 || m.Rights != "" || len(m.Writers) != 0 || m.Paused || m.Notice != "" || m.Typed != 0 || m.Seq != 0 {
		return proto.Errorf(proto.Protocol, "%s of a viewer asks for nothing", wire.TypeTermCtl)
	}
	if v.session.viewers.ask(v) {
		v.session.o.Audit.write(v.audited("ask"))
		v.session.statusChanged()
		if asked := v.session.o.Asked; asked != nil {
			asked(v.who, v.label)
		}
	}
	return nil
}

// rights returns what the viewer may do now.
func (v *viewer) rights() proto.Caps {
	if v.typist.muted.Load() {
		return proto.CapTTYView
	}
	return proto.CapTTYView | proto.CapTTYControl
}
