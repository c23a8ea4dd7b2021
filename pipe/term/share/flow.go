package share

import (
	"bytes"
	"sync"
	"time"
)

// Flow is the keys that stop and continue a terminal's output (IXON).
type Flow struct {
	Stop      byte   // 0 if none does
	Continue  []byte // these keys
	AnyOthers bool   // or any that is not Stop
}

// stoppedTime is how long no output must have come after Stop was typed.
const stoppedTime = 2 * time.Second

// flow follows whether somebody has stopped the output. To everybody else the
// terminal looks as if it hung.
type flow struct {
	mu      sync.Mutex // a leaf; guards what follows
	stopped time.Time  // when Stop was typed; zero if the output is not stopped
	seq     int64      // the position of the output when it was looked at last
	printed time.Time  // when it was found changed
}

// follow follows what the terminal has accepted.
func (f *flow) follow(p []byte, keys Flow, seq int64, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if keys.Stop == 0 {
		f.stopped = time.Time{}
		return
	}
	for _, b := range p {
		switch {
		case b == keys.Stop:
			f.stopped, f.seq, f.printed = now, seq, now
		case keys.AnyOthers, bytes.IndexByte(keys.Continue, b) >= 0:
			f.stopped = time.Time{}
		}
	}
}

// isHeld reports whether the output is stopped. What was on its way then may still have
// come; when more comes later, something else has continued the output.
func (f *flow) isHeld(seq int64, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped.IsZero() {
		return false
	}
	if seq != f.seq {
		if now.Sub(f.printed) > stoppedTime {
			f.stopped = time.Time{}
			return false
		}
		f.seq, f.printed = seq, now
	}
	return now.Sub(f.printed) > stoppedTime
}
