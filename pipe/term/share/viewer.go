package share

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/wire"
)

const (
	// gatherTime is how long output may wait for more of it, when some was sent
	// just before.
	gatherTime = 4 * time.Millisecond
	// lagTime is how long a viewer's way may be full before it gets a snapshot in
	// place of what it has missed; lagBytes is what is sent all the same.
	lagTime  = 20 * time.Millisecond
	lagBytes = 16 << 10
	// frameTime is the least time between two snapshots, and frameTimeEach how much
	// longer that is for each viewer there is. A viewer that takes longer for one
	// gets them as fast as it takes them.
	frameTime     = 16 * time.Millisecond
	frameTimeEach = time.Millisecond
	// maxWaiting is how many TERM_INs of a viewer wait for its turn.
	maxWaiting = 16
	// newsTime is the least time between two TERM_CTLs.
	newsTime = 100 * time.Millisecond
	// maxKept is how large a frame may be whose memory is kept for the next; a
	// snapshot with all its scrollback has megabytes.
	maxKept = 64 << 10
)

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
	label   string // what others see
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
	ended   bool      // TERM_EXIT is sent
	heard   time.Time // when it last showed more than before
	blocked time.Time // since when its way is full; zero if it is not
	seq     int64     // of its last TERM_ACK

	// Used by its own goroutine alone.
	painted   time.Time // when the last snapshot was sent
	inFlight  bool      // that one is not acknowledged
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
// for [mesh/pipe.Join].
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
	s.o.Audit.write(audited{Event: "join", PeerID: who.ID, Peer: v.label, Addr: who.Addr, Rights: v.who.Caps.String()})
	s.changed()
	// A viewer whose link has ended waits for no turn any more.
	stop := context.AfterFunc(ctx, func() { s.arbiter.silence(v.typist) })
	defer stop()
	gone := make(chan struct{}) // closed when the viewer has ended its side, or failed
	var wg sync.WaitGroup
	wg.Go(v.typeKeys)
	wg.Go(func() {
		defer close(gone)
		defer close(v.keys)
		if err := v.read(r); err != nil {
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
	if s.silent || s.muted[who.ID] || s.o.Input == nil {
		who.Caps &^= proto.CapTTYControl
	}
	s.last++
	v := &viewer{
		session: s, number: s.last, who: who, label: label(who, open.Name), joined: time.Now(), open: open,
		woken: make(chan struct{}, 1), keys: make(chan chunk, maxWaiting), fail: fail, heard: time.Now(), news: true,
	}
	v.typist = &typist{label: v.label, id: who.ID, number: v.number, cols: open.Cols, rows: open.Rows}
	switch {
	case open.Mode == wire.TermScreen:
		v.at, v.behind = s.history.newest(), true
	case open.History:
		v.at = s.history.oldest()
	default:
		v.at = s.history.newest()
	}
	v.pace = pace{fixed: open.Mode == wire.TermRaw, acked: v.at.seq}
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
	s.o.Audit.write(audited{Event: "leave", PeerID: v.who.ID, Peer: v.label, Addr: v.who.Addr})
	s.changed()
}

// read takes the viewer's frames until it ends its side.
func (v *viewer) read(r io.Reader) error {
	for {
		t, body, err := wire.ReadFrame(r, wire.TypeTermAck, wire.TypeTermIn, wire.TypeTermResize)
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
				err = v.resized(m)
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
	if !v.who.Caps.Has(proto.CapTTYControl) {
		return errCapability
	}
	v.keys <- chunk{keys, v.session.isPaused()}
	return nil
}

func (v *viewer) resized(m wire.TermResize) error {
	if !v.who.Caps.Has(proto.CapTTYControl) {
		return errCapability
	}
	if m.Seq != 0 {
		return proto.Errorf(proto.Protocol, "%s out of order", wire.TypeTermResize)
	}
	v.session.arbiter.resized(v.typist, m.Cols, m.Rows)
	return nil
}

var errCapability = proto.Errorf(proto.Capability, "a viewer types without being allowed to")

// write sends the viewer what it is to see, until the session has ended or the
// viewer has.
func (v *viewer) write(ctx context.Context, to io.Writer, gone <-chan struct{}) error {
	s := v.session
	s.mu.Lock()
	v.frame = wire.AppendFrame(v.frame[:0], &wire.TermSession{
		Session: s.ID, Name: s.o.Name, Rights: v.who.Caps.String(), Seq: v.at.seq, Cols: s.cols, Rows: s.rows,
	})
	s.mu.Unlock()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if len(v.frame) > 0 {
			if _, err := to.Write(v.frame); err != nil {
				return err
			}
			if cap(v.frame) > maxKept {
				v.frame = nil
			}
		}
		if v.ended {
			return nil
		}
		wait, paint := v.next(time.Now())
		if paint {
			v.paint()
			continue
		}
		if len(v.frame) > 0 {
			continue
		}
		timer.Reset(wait)
		select {
		case <-v.woken:
		case <-timer.C:
		case <-gone:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// paint makes a frame of a snapshot.
func (v *viewer) paint() {
	lines := 0
	if v.painted.IsZero() {
		lines = v.open.Scrollback
	}
	shot := v.session.picture(lines, v.at)
	v.frame = wire.AppendTermSnapshot(v.frame[:0], wire.TermSnapshot{Seq: shot.at.seq, Cols: shot.cols, Rows: shot.rows, Repaint: shot.repaint})
	s := v.session
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	v.at, v.behind = shot.at, false
	v.painted, v.inFlight, v.sent = now, true, now
	v.pace.sent(shot.at.seq, len(v.frame), now)
}

// next makes the frame that is due, or says how long to wait for something to
// happen, or that a snapshot is due.
func (v *viewer) next(now time.Time) (wait time.Duration, paint bool) {
	const long = time.Hour
	v.frame = v.frame[:0]
	s := v.session
	s.mu.Lock()
	defer s.mu.Unlock()
	v.idle = false
	if v.news {
		if now.Sub(v.announced) >= newsTime || v.notice != "" {
			v.announce(now)
			return 0, false
		}
	}
	if s.paused && s.exit != nil { // the rest is nobody's
		exit := *s.exit
		exit.Seq = v.at.seq
		v.frame = wire.AppendFrame(v.frame, &exit)
		v.ended = true
		return 0, false
	}
	if s.paused {
		return v.untilNews(now, long), false
	}
	if !s.history.holds(v.at) {
		v.behind = true
	}
	pending := s.history.end - v.at.seq
	if v.inFlight && v.pace.onWay == 0 {
		v.inFlight = false
		// Whoever has missed much since the last picture rather gets the next one than
		// what was in between: a flood is seen, and what ends it is seen at once.
		v.behind = v.behind || !v.pace.fixed && pending > lagBytes
	}
	if !v.blocked.IsZero() && now.Sub(v.blocked) > lagTime && pending > lagBytes && !v.pace.fixed {
		v.behind = true
	}
	if v.behind {
		if v.pace.onWay > 0 {
			return v.untilNews(now, long), false // for its TERM_ACK
		}
		least := frameTime + time.Duration(len(s.viewers))*frameTimeEach
		if wait := least - now.Sub(v.painted); wait > 0 {
			return v.untilNews(now, wait), false
		}
		v.blocked = time.Time{}
		return 0, true
	}
	room := v.pace.room(now)
	if pending > 0 && room < min(pending, minOnWay/4) {
		if v.blocked.IsZero() {
			v.blocked = now
		}
		return v.untilNews(now, lagTime), false
	}
	if wait := gatherTime - now.Sub(v.sent); wait > 0 && pending > 0 && pending < proto.MaxTermOutBytes && s.exit == nil {
		return wait, false
	}
	v.scratch = v.scratch[:0]
	var msg wire.Message
	msg, v.scratch = s.history.next(v.at, v.scratch, int(min(room, proto.MaxTermOutBytes)))
	switch {
	case msg != nil:
		v.frame = wire.AppendFrame(v.frame, msg)
		v.at.event++
	case len(v.scratch) > 0:
		v.frame = wire.AppendTermOut(v.frame, v.at.seq, v.scratch)
		v.at.seq += int64(len(v.scratch))
		v.pace.sent(v.at.seq, len(v.frame), now)
		v.sent = now
		if s.history.end-v.at.seq < lagBytes {
			v.blocked = time.Time{}
		}
	case s.exit != nil:
		v.frame = wire.AppendFrame(v.frame, s.exit)
		v.ended = true
	default:
		v.idle = true
		return v.untilNews(now, long), false
	}
	return 0, false
}

// untilNews bounds a wait by when the next TERM_CTL is due.
func (v *viewer) untilNews(now time.Time, wait time.Duration) time.Duration {
	if v.news {
		wait = min(wait, newsTime-now.Sub(v.announced))
	}
	return wait
}

// announce makes a TERM_CTL. It is called with the session's mu held.
func (v *viewer) announce(now time.Time) {
	s := v.session
	typed, seq := v.typist.taken()
	writers := s.recent.names(now)
	v.frame = wire.AppendFrame(v.frame, &wire.TermCtl{
		Viewers: len(s.viewers), Writers: writers[:min(len(writers), proto.MaxTermWriters)],
		Paused: s.paused, Notice: v.notice, Typed: typed, Seq: seq,
	})
	v.news, v.notice, v.announced = false, "", now
}

// Info is what there is to know of one viewer.
type Info struct {
	Number  int       `json:"number"`
	Name    string    `json:"name"`
	PeerID  string    `json:"peer_id"`
	Addr    string    `json:"addr"`
	Rights  string    `json:"rights"`
	Mode    string    `json:"mode"`
	Cols    int       `json:"cols,omitempty"`
	Rows    int       `json:"rows,omitempty"`
	Joined  time.Time `json:"joined"`
	Typed   int64     `json:"typed"`  // bytes
	Behind  int64     `json:"behind"` // bytes of output that it has yet to show
	Silence float64   `json:"silence"`
}

// List returns the viewers, in the order in which they came.
func (s *Session) List() []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Info
	for _, v := range s.viewers {
		typed, _ := v.typist.taken()
		cols, rows := v.typist.wants()
		rights := v.who.Caps
		if v.typist.deaf.Load() {
			rights &^= proto.CapTTYControl
		}
		out = append(out, Info{
			Number: v.number, Name: v.label, PeerID: v.who.ID, Addr: v.who.Addr, Rights: rights.String(), Mode: v.open.Mode,
			Cols: cols, Rows: rows, Joined: v.joined, Typed: typed, Behind: s.history.end - v.seq, Silence: time.Since(v.heard).Seconds(),
		})
	}
	slices.SortFunc(out, func(a, b Info) int { return a.Number - b.Number })
	return out
}
