package share

import (
	"context"
	"io"
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
	// FrameTime is the least time between two snapshots, and frameTimeEach how much
	// longer that is for each viewer there is. A viewer that takes longer for one
	// gets them as fast as it takes them.
	FrameTime     = 16 * time.Millisecond
	frameTimeEach = time.Millisecond
	// newsTime is the least time between two TERM_CTLs.
	newsTime = 100 * time.Millisecond
	// maxKept is how large a frame may be whose memory is kept for the next; a
	// snapshot with all its scrollback has megabytes.
	maxKept = 64 << 10
)

// write sends the viewer what it is to see, until the session has ended or the
// viewer has.
func (v *viewer) write(ctx context.Context, to io.Writer, gone <-chan struct{}) error {
	s := v.session
	s.mu.Lock()
	v.frame = wire.AppendFrame(v.frame[:0], &wire.TermSession{
		Session: s.ID, Name: s.o.Name, Rights: v.rights().String(), Seq: v.at.seq, Cols: s.cols, Rows: s.rows,
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

// paint makes a frame of a snapshot, but of none of a pause, which may have begun, and
// ended, since one was due.
func (v *viewer) paint() {
	lines := 0
	if v.painted.IsZero() {
		lines = v.open.Scrollback
	}
	shot := v.session.picture(lines, v.at)
	if shot.paused {
		v.frame = v.frame[:0]
		return
	}
	v.frame = wire.AppendTermSnapshot(v.frame[:0], wire.TermSnapshot{Seq: shot.at.seq, Cols: shot.cols, Rows: shot.rows, Repaint: shot.repaint})
	s := v.session
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	v.at, v.behind = shot.at, false
	v.painted, v.picture, v.rests, v.sent = now, int64(len(v.frame)), !v.pace.fixed, now
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
	// Whoever has missed more since the last picture than another one has bytes
	// rather gets that: a flood is seen, and what ends it is seen at once.
	missed := v.rests && pending > min(v.picture, lagBytes)
	late := !v.blocked.IsZero() && now.Sub(v.blocked) > lagTime && pending > lagBytes
	if (missed || late) && !v.pace.fixed {
		v.behind = true
	}
	// Until then it gets nothing, which would only have the next picture wait.
	if v.behind || v.rests && s.exit == nil {
		if v.pace.onWay > 0 {
			return v.untilNews(now, long), false // for its TERM_ACK
		}
		least := FrameTime + time.Duration(len(s.viewers))*frameTimeEach
		if wait := least - now.Sub(v.painted); wait > 0 {
			return v.untilNews(now, wait), false
		}
	}
	v.rests = false
	if v.behind {
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
		Rights: v.rights().String(), Ask: v.asks, Paused: s.paused, Notice: v.notice, Typed: typed, Seq: seq,
	})
	v.news, v.notice, v.announced = false, "", now
}
