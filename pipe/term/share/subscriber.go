package share

import (
	"time"

	"mesh/proto"
	"mesh/proto/wire"
)

const (
	// gatherTime is how long output may wait for more, after some was sent.
	gatherTime = 4 * time.Millisecond
	// lagTime is how long a viewer may be unable to take more before it gets a snapshot
	// instead of what it missed. If it missed at most lagBytes, it gets those all the
	// same.
	lagTime  = 20 * time.Millisecond
	lagBytes = 16 << 10
	// FrameTime is the least time between two snapshots for a viewer; frameTimeEach is
	// added for each viewer of the session. A viewer that needs longer to take one gets
	// them at its own speed.
	FrameTime     = 16 * time.Millisecond
	frameTimeEach = time.Millisecond
	// longTime is a wait that something else ends.
	longTime = time.Hour
)

// subscriber follows the stream for one viewer. It decides what the viewer gets next:
// the output that follows its place, or a snapshot.
type subscriber struct {
	stream *stream
	woken  chan struct{} // wake sends; has room for one value; never closed

	// Guarded by stream.mu.
	behind  bool // a snapshot comes next
	pace    pace
	idle    bool      // waits for output
	blocked time.Time // since when the viewer takes no more; zero if it does
	acked   int64     // the position of the last TERM_ACK
	heard   time.Time // when acked last grew

	// Used by the viewer's sending goroutine alone.
	at            place     // everything before was sent
	painted       time.Time // when the last snapshot was sent
	paintedBytes  int64     // and how large it was
	afterSnapshot bool      // nothing was sent since, and the next one is not due yet
	sent          time.Time // when output was last sent
	ended         bool      // TERM_EXIT is in a frame
	frame         []byte    // to be sent
	scratch       []byte
}

// step is what a subscriber does next.
type step int

const (
	stepWait     step = iota // wait until woken, or for a time
	stepSend                 // send the frame
	stepSnapshot             // send a snapshot
)

// subscribe adds a subscriber at the place where a viewer with this request begins.
func (s *stream) subscribe(sub *subscriber, open *wire.TermOpen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.stream, sub.heard = s, time.Now()
	sub.at = s.history.newest()
	switch {
	case open.Mode != wire.TermRaw:
		sub.behind = true
	case open.History:
		sub.at = s.history.oldest()
	}
	sub.pace = pace{fixed: open.Mode != wire.TermScreen, acked: sub.at.seq}
	sub.acked = sub.at.seq
	s.subscribers[sub] = struct{}{}
}

func (s *stream) unsubscribe(sub *subscriber) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.subscribers, sub)
}

func (s *subscriber) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// wakeIfIdle wakes the subscriber if it waits for output.
func (s *subscriber) wakeIfIdle() {
	s.stream.mu.Lock()
	defer s.stream.mu.Unlock()
	if s.idle {
		s.wake()
	}
}

// needSnapshot is called with stream.mu held.
func (s *subscriber) needSnapshot() { s.behind, s.blocked = true, time.Time{} }

// ack takes a TERM_ACK.
func (s *subscriber) ack(seq int64) error {
	s.stream.mu.Lock()
	defer s.stream.mu.Unlock()
	now := time.Now()
	if err := s.pace.ack(seq, now); err != nil {
		return err
	}
	if seq > s.acked {
		s.acked, s.heard = seq, now
	}
	s.wake()
	return nil
}

// progress returns how many bytes of output the viewer has not shown yet, and when it
// last showed more.
func (s *subscriber) progress() (behind int64, heard time.Time) {
	s.stream.mu.Lock()
	defer s.stream.mu.Unlock()
	return s.stream.history.end - s.acked, s.heard
}

// next appends the frame that is due to s.frame, or returns that a snapshot is due, or
// how long to wait unless woken.
func (s *subscriber) next(now time.Time) (do step, wait time.Duration) {
	st := s.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	s.idle = false
	if st.paused {
		if st.exit == nil {
			return stepWait, longTime
		}
		exit := *st.exit // viewers never get what was printed during the pause
		exit.Seq = s.at.seq
		s.appendExit(&exit)
		return stepSend, 0
	}
	pending := st.history.end - s.at.seq
	s.checkLag(now, pending)
	if wait := s.snapshotWait(now); wait > 0 {
		return stepWait, wait
	}
	s.afterSnapshot = false
	if s.behind {
		s.blocked = time.Time{}
		return stepSnapshot, 0
	}
	room := s.pace.room(now)
	if pending > 0 && room < min(pending, minUnacked/4) {
		if s.blocked.IsZero() {
			s.blocked = now
		}
		return stepWait, lagTime
	}
	if wait := gatherTime - now.Sub(s.sent); wait > 0 && pending > 0 && pending < proto.MaxTermOutBytes && st.exit == nil {
		return stepWait, wait
	}
	return s.appendNext(now, room)
}

// checkLag decides whether a snapshot comes next.
func (s *subscriber) checkLag(now time.Time, pending int64) {
	if !s.stream.history.holds(s.at) {
		s.behind = true
	}
	// If the viewer has missed more since the last snapshot than another one has bytes,
	// it gets another one: during a flood it sees frames, and its end at once.
	missed := s.afterSnapshot && pending > min(s.paintedBytes, lagBytes)
	late := !s.blocked.IsZero() && now.Sub(s.blocked) > lagTime && pending > lagBytes
	if (missed || late) && !s.pace.fixed {
		s.behind = true
	}
}

// snapshotWait returns how long to wait for the time of the next snapshot, if one is
// due, or if one was just sent: output sent in between would only delay the next one.
func (s *subscriber) snapshotWait(now time.Time) time.Duration {
	if !s.behind && (!s.afterSnapshot || s.stream.exit != nil) {
		return 0
	}
	if s.pace.unacked > 0 {
		return longTime // for a TERM_ACK
	}
	least := FrameTime + time.Duration(len(s.stream.subscribers))*frameTimeEach
	return least - now.Sub(s.painted)
}

// appendNext appends a frame of what follows the viewer's place, with at most room
// bytes of output.
func (s *subscriber) appendNext(now time.Time, room int64) (do step, wait time.Duration) {
	st := s.stream
	var msg wire.Message
	msg, s.scratch = st.history.next(s.at, s.scratch[:0], int(min(room, proto.MaxTermOutBytes)))
	switch {
	case msg != nil:
		s.frame = wire.AppendFrame(s.frame, msg)
		s.at.event++
	case len(s.scratch) > 0:
		s.frame = wire.AppendTermOut(s.frame, s.at.seq, s.scratch)
		s.at.seq += int64(len(s.scratch))
		s.pace.sent(s.at.seq, len(s.frame), now)
		s.sent = now
		if st.history.end-s.at.seq < lagBytes {
			s.blocked = time.Time{}
		}
	case st.exit != nil:
		s.appendExit(st.exit)
	default:
		s.idle = true
		return stepWait, longTime
	}
	return stepSend, 0
}

func (s *subscriber) appendExit(exit *wire.TermExit) {
	s.frame = wire.AppendFrame(s.frame, exit)
	s.ended = true
}

// appendSnapshot appends a frame of a snapshot.
func (s *subscriber) appendSnapshot(shot snapshot) {
	s.frame = wire.AppendTermSnapshot(s.frame, wire.TermSnapshot{Seq: shot.at.seq, Cols: shot.cols, Rows: shot.rows, Repaint: shot.repaint})
	s.stream.mu.Lock()
	defer s.stream.mu.Unlock()
	now := time.Now()
	s.at, s.behind = shot.at, false
	s.painted, s.paintedBytes, s.afterSnapshot, s.sent = now, int64(len(s.frame)), !s.pace.fixed, now
	s.pace.sent(shot.at.seq, len(s.frame), now)
}
