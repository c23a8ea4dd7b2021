package share

import (
	"context"
	"io"
	"time"

	"mesh/proto"
	"mesh/proto/wire"
)

const (
	// ctlTime is the least time between two TERM_CTLs, except for a notice.
	ctlTime = 100 * time.Millisecond
	// maxKept is how large a frame may be whose memory is kept for the next one: a
	// snapshot with all the scrollback has megabytes.
	maxKept = 64 << 10
)

// write sends the viewer its frames, until the session or the viewer's side has ended.
func (v *viewer) write(ctx context.Context, to io.Writer, readEnded <-chan struct{}) error {
	v.appendSession()
	timer := time.NewTimer(longTime)
	defer timer.Stop()
	for {
		if len(v.sub.frame) > 0 {
			if _, err := to.Write(v.sub.frame); err != nil {
				return err
			}
			if cap(v.sub.frame) > maxKept {
				v.sub.frame = nil
			}
		}
		if v.sub.ended {
			return nil
		}
		do, wait := v.prepare(time.Now())
		switch do {
		case stepSnapshot:
			v.appendSnapshot()
			continue
		case stepSend:
			continue
		}
		timer.Reset(wait)
		select {
		case <-v.sub.woken:
		case <-timer.C:
		case <-readEnded:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// prepare makes the frame that is due, or returns that a snapshot is due, or how long
// to wait unless woken.
func (v *viewer) prepare(now time.Time) (do step, wait time.Duration) {
	v.sub.frame = v.sub.frame[:0]
	if v.ctlDue.Load() && (now.Sub(v.announced) >= ctlTime || v.session.viewers.hasNotice(v) || v.typist.hasNotice()) {
		v.appendCtl(now)
		return stepSend, 0
	}
	if m := v.idle.Swap(nil); m != nil {
		v.sub.frame = wire.AppendFrame(v.sub.frame, m)
		return stepSend, 0
	}
	do, wait = v.sub.next(now)
	// next may have set idle. Only now does notify see that, so only now is it safe to
	// look at ctlDue and sleep.
	if do == stepWait && v.ctlDue.Load() {
		wait = min(wait, ctlTime-now.Sub(v.announced))
	}
	return do, wait
}

// appendSession makes the first frame.
func (v *viewer) appendSession() {
	s := v.session
	cols, rows := s.Size()
	v.sub.frame = wire.AppendFrame(v.sub.frame[:0], &wire.TermSession{
		Session: s.ID, Name: s.o.Name, Rights: v.rights().String(), Seq: v.sub.at.seq, Cols: cols, Rows: rows,
	})
}

// appendSnapshot makes a frame of a snapshot. There is none if a pause has begun since
// it was due: such a snapshot is not for viewers, even if the pause is over.
func (v *viewer) appendSnapshot() {
	lines := 0
	if v.sub.painted.IsZero() {
		lines = v.open.Scrollback
	}
	shot := v.session.output.snapshot(lines, v.sub.at)
	v.sub.frame = v.sub.frame[:0]
	if !shot.paused {
		v.session.snapshots.Add(1)
		v.sub.appendSnapshot(shot)
	}
}

// appendCtl makes a TERM_CTL.
func (v *viewer) appendCtl(now time.Time) {
	v.ctlDue.Store(false) // before the news is read
	s := v.session
	typed, seq := v.typist.confirmed()
	writers := s.arbiter.recent.names(now)
	m := wire.TermCtl{
		Writers: writers[:min(len(writers), proto.MaxTermWriters)], Rights: v.rights().String(),
		Paused: s.output.stream.isPaused(), Typed: typed, Seq: seq,
	}
	m.Viewers, m.Ask, m.Notice = s.viewers.takeNews(v)
	if m.Notice == "" {
		m.Notice = v.typist.takeNotice()
	}
	v.sub.frame = wire.AppendFrame(v.sub.frame, &m)
	v.announced = now
}
