package nat

import "time"

// roundTimes are the times of the first checks in a round. After the last one there is
// another each roundEvery.
var roundTimes = []time.Duration{0, 50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond}

const roundEvery = 500 * time.Millisecond

// round is the schedule of the checks of one address. It begins when it is first asked
// what is due.
type round struct {
	length time.Duration
	begun  time.Time
	next   int // index of the next check
	sent   int // with those that were due to a check of the other end
	last   time.Time
}

// due returns how long until the next check, and false if the round is over.
func (r *round) due() (time.Duration, bool) {
	if r.begun.IsZero() {
		r.begun = time.Now()
	}
	at := roundTime(r.next)
	return max(0, at-time.Since(r.begun)), at <= r.length && r.sent < maxChecks
}

// count counts a check that is sent now. Checks that should have been sent before, but
// had to wait, are left out.
func (r *round) count() {
	r.last = time.Now()
	r.sent++
	if r.begun.IsZero() {
		r.begun = r.last
	}
	for roundTime(r.next) <= r.last.Sub(r.begun) {
		r.next++
	}
}

func roundTime(i int) time.Duration {
	if last := len(roundTimes) - 1; i > last {
		return roundTimes[last] + time.Duration(i-last)*roundEvery
	}
	return roundTimes[i]
}

// replays recognises numbers that were there before among the last 256 (RFC 4303,
// section 3.4.3). Older ones count as replays.
type replays struct {
	top  uint64
	seen [256]uint64
}

// add reports whether a number is a new one.
func (r *replays) add(n uint64) bool {
	at := &r.seen[n%uint64(len(r.seen))]
	if *at == n || n < r.top && r.top-n >= uint64(len(r.seen)) {
		return false
	}
	*at = n
	r.top = max(r.top, n)
	return true
}
