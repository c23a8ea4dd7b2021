package share

import (
	"context"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/wire"
)

const (
	// idleTime is how long no job must have had the foreground: a shell needs a moment to
	// start one, and has the foreground itself between two.
	idleTime = 300 * time.Millisecond
	// idlePoll is how often the session looks at the foreground while a viewer waits.
	idlePoll = idleTime / 6
)

// startIdle begins to watch the foreground for a viewer that asks for TERM_IDLE and may
// type, before its input is read. The goroutine of wg ends when ctx does, or the caller
// calls stop.
func (v *viewer) startIdle(ctx context.Context, wg *sync.WaitGroup) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	if v.open.Idle && v.rights().Has(proto.CapTTYControl) {
		before := 0
		if v.session.o.Foreground != nil {
			before = v.session.o.Foreground()
		}
		wg.Go(func() { v.watchIdle(ctx, before) })
	}
	return cancel
}

// watchIdle makes a TERM_IDLE due each time that the viewer's input has grown and then no
// job that was started since Foreground returned before has the foreground. It returns when ctx ends.
func (v *viewer) watchIdle(ctx context.Context, before int) {
	tick := time.NewTicker(idlePoll)
	defer tick.Stop()
	told, last, since := int64(-1), int64(-1), time.Now()
	for {
		var now time.Time
		select {
		case now = <-tick.C:
		case <-ctx.Done():
			return
		}
		typed, _ := v.typist.confirmed()
		switch seq, busy := v.session.foreground(before); {
		case typed == told:
		case typed != last, busy:
			last, since = typed, now
		case now.Sub(since) >= idleTime:
			told = typed
			v.idle.Store(&wire.TermIdle{Typed: typed, Seq: seq})
			v.sub.wake()
		}
	}
}

// foreground returns the position of the output, and whether a job has the foreground
// that did not have it before. During a pause viewers learn neither.
func (s *Session) foreground(before int) (seq int64, busy bool) {
	if s.output.stream.isPaused() {
		return 0, false
	}
	return s.output.stream.position(), s.o.HasJob != nil && s.o.HasJob(before)
}
