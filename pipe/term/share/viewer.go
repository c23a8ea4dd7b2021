package share

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/wire"
)

// maxWaiting is how many TERM_INs of a viewer wait for its turn.
const maxWaiting = 16

// Visitor is who comes to view.
type Visitor struct {
	ID   string // the node id, as text
	Name string // in our address book; may be empty
	Addr string
	Caps proto.Caps
}

// viewer is one of a session's.
type viewer struct {
	session *Session
	number  int
	who     Visitor
	label   string // what others see, and safe to show
	joined  time.Time
	typist  *typist
	open    wire.TermOpen
	woken   chan struct{} // wake sends; has room for one
	keys    chan chunk    // TERM_INs; read sends and closes
	fail    func(error)

	// The rest is guarded by the session's mu.
	at      place
	behind  bool // a snapshot comes next
	pace    pace
	idle    bool // waits for output
	news    bool // there is something for a TERM_CTL
	notice  string
	allowed bool      // may type, or did once
	asks    bool      // for the right to type
	ended   bool      // TERM_EXIT is sent
	heard   time.Time // when it last showed more than before
	blocked time.Time // since when its way is full; zero if it is not
	seq     int64     // of its last TERM_ACK

	sized time.Time // the last TERM_RESIZE; used by read alone

	// Used by its own goroutine alone.
	painted   time.Time // when the last snapshot was sent
	picture   int64     // that one's bytes
	rests     bool      // has got nothing since, and the next one is not due
	announced time.Time
	sent      time.Time
	frame     []byte
	scratch   []byte
}

// chunk is what a TERM_IN has, and whether it came during a pause.
type chunk struct {
	keys   []byte
	paused bool
}

func (v *viewer) wake() {
	select {
	case v.woken <- struct{}{}:
	default:
	}
}

// Serve shows the session to one viewer, until either of them ends. It is a side
// for [mesh/pipe.StartDialogue].
func (s *Session) Serve(ctx context.Context, from *io.PipeReader, to *io.PipeWriter, who Visitor) error {
	if !who.Caps.Has(proto.CapTTYView) {
		return proto.Errorf(proto.Capability, "the peer may not view")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	fail := func(err error) { // the first one counts, here and at the pipes
		cancel(err)
		_ = from.CloseWithError(err)
		_ = to.CloseWithError(err)
	}
	r := bufio.NewReaderSize(from, proto.MaxTermInBytes)
	var open wire.TermOpen
	if _, body, err := wire.ReadFrame(r, wire.TypeTermOpen); err != nil {
		return cut(err)
	} else if err := wire.ParseBody(body, &open); err != nil {
		return err
	}
	v, err := s.join(who, open, fail)
	if err != nil {
		return err
	}
	joined := v.audited("join")
	joined.Rights = v.rights().String()
	s.o.Audit.write(joined)
	s.changed()
	// A viewer whose link has ended waits for no turn any more.
	stop := context.AfterFunc(ctx, func() { s.arbiter.leave(v.typist) })
	gone := make(chan struct{}) // closed when the viewer has ended its side, or failed
	var wg sync.WaitGroup
	wg.Go(v.typeKeys)
	wg.Go(func() {
		defer close(gone)
		defer close(v.keys)
		if err := v.read(ctx, r); err != nil {
			fail(err)
		}
		v.wake()
	})
	if err := v.write(ctx, to, gone); err != nil {
		fail(err)
	} else {
		_ = to.Close() // never fails
	}
	wg.Wait()
	if !stop() { // it has begun, and is to be over when this is
		s.arbiter.leave(v.typist)
	}
	s.leave(v)
	return context.Cause(ctx)
}

// typeKeys types what read brings. It has a goroutine of its own, so that a viewer
// that waits for its turn sees what others do meanwhile.
func (v *viewer) typeKeys() {
	for c := range v.keys {
		v.session.arbiter.remote(v.typist, c.keys, c.paused)
	}
}

// cut is the error of frames that end before their end.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return proto.Errorf(proto.Truncated, "the peer's frames ended before their end")
	}
	return err
}

// join adds a viewer.
func (s *Session) join(who Visitor, open wire.TermOpen, fail func(error)) (*viewer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.banned[who.ID] {
		return nil, proto.Errorf(proto.Declined, "the peer was sent away")
	}
	s.last++
	v := &viewer{
		session: s, number: s.last, who: who, label: label(who, open.Name), joined: time.Now(), open: open,
		woken: make(chan struct{}, 1), keys: make(chan chunk, maxWaiting), fail: fail, heard: time.Now(), news: true,
	}
	v.typist = &typist{label: v.label, id: who.ID, addr: who.Addr, number: v.number, cols: open.Cols, rows: open.Rows}
	v.allowed = s.mayType(who)
	v.typist.muted.Store(!v.allowed)
	switch {
	case open.Mode != wire.TermRaw:
		v.at, v.behind = s.history.newest(), true
	case open.History:
		v.at = s.history.oldest()
	default:
		v.at = s.history.newest()
	}
	v.pace = pace{fixed: open.Mode != wire.TermScreen, acked: v.at.seq}
	v.seq = v.at.seq
	s.viewers[v.number] = v
	return v, nil
}

// leave takes a viewer off the list.
func (s *Session) leave(v *viewer) {
	s.arbiter.leave(v.typist)
	s.mu.Lock()
	delete(s.viewers, v.number)
	s.mu.Unlock()
	select {
	case s.left <- struct{}{}:
	default:
	}
	s.o.Audit.write(v.audited("leave"))
	s.changed()
}

// read takes the viewer's frames until it ends its side.
func (v *viewer) read(ctx context.Context, r io.Reader) error {
	for {
		t, body, err := wire.ReadFrame(r, wire.TypeTermAck, wire.TypeTermIn, wire.TypeTermResize, wire.TypeTermCtl)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return cut(err)
		}
		switch t {
		case wire.TypeTermAck:
			var m wire.TermAck
			if err = wire.ParseBody(body, &m); err == nil {
				err = v.ack(m.Seq)
			}
		case wire.TypeTermIn:
			if err = wire.CheckTermIn(body); err == nil {
				err = v.typed(body)
			}
		case wire.TypeTermResize:
			var m wire.TermResize
			if err = wire.ParseBody(body, &m); err == nil {
				err = v.resized(ctx, m)
			}
		case wire.TypeTermCtl:
			var m wire.TermCtl
			if err = wire.ParseBody(body, &m); err == nil {
				err = v.asked(&m)
			}
		}
		if err != nil {
			return err
		}
	}
}

func (v *viewer) ack(seq int64) error {
	s := v.session
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if err := v.pace.ack(seq, now); err != nil {
		return err
	}
	if seq > v.seq {
		v.seq, v.heard = seq, now
	}
	v.wake()
	return nil
}

// typed takes keys. Whoever was never allowed to type is cut off; whoever is not
// any more is not heard.
func (v *viewer) typed(keys []byte) error {
	if !v.wasAllowed() {
		return errCapability
	}
	v.keys <- chunk{keys, v.session.isPaused()}
	return nil
}

func (v *viewer) wasAllowed() bool {
	v.session.mu.Lock()
	defer v.session.mu.Unlock()
	return v.allowed
}

// resized takes the size of the viewer's own terminal. Who sends many waits, so that
// the command does not get one after the other.
func (v *viewer) resized(ctx context.Context, m wire.TermResize) error {
	if !v.wasAllowed() {
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
	v.session.arbiter.resized(v.typist, m.Cols, m.Rows)
	return nil
}

var errCapability = proto.Errorf(proto.Capability, "a viewer types without being allowed to")
