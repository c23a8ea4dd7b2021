// Package ratelimit limits how many bytes per second transfers move. One [Limiter] is
// shared by all transfers of a process in one direction. Each has a [Share], and those
// that wait are served in turn, so that all get the same rate, however many links carry
// each of them.
package ratelimit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"mesh/proto"
)

const (
	// lookEvery is how often a limiter looks for the rate of the time.
	lookEvery = 10 * time.Second
	// pieceTime is how long the bytes last at a rate that are taken at a time.
	pieceTime = 20 * time.Millisecond
	// burstTime is how much of the rate can be made up for after a pause: 1 % of ten
	// seconds. On a busy machine a transfer often gets the processor some 30 ms late, and
	// would lose that each time with a burst of one piece.
	burstTime = 100 * time.Millisecond
	// minPiece keeps the bytes that are taken at a time from being too few.
	minPiece = 1 << 10
)

// Limiter limits the bytes of all its shares. A nil Limiter limits nothing. Its methods may
// be called by many goroutines.
type Limiter struct {
	mu       sync.Mutex
	schedule Schedule
	looked   time.Time // when now was found
	now      int64     // the rate of this time; 0 for no limit
	bucket   *rate.Limiter
}

// New returns a limiter, nil if the schedule has no limit.
func New(s Schedule) *Limiter {
	if !s.limits() {
		return nil
	}
	return NewVariable(s)
}

// NewVariable returns a limiter whose schedule [Limiter.Set] may replace, also one without a
// limit.
func NewVariable(s Schedule) *Limiter {
	return &Limiter{schedule: s, bucket: rate.NewLimiter(rate.Inf, 0)}
}

// Set replaces the schedule at once, also for the transfers that go on.
func (l *Limiter) Set(s Schedule) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.schedule, l.looked = s, time.Time{}
}

// Rate returns how many bytes per second may move now, 0 for any number.
func (l *Limiter) Rate() int64 {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lookLocked(time.Now())
}

// lookLocked returns the rate of the time, and looks for another one now and then.
func (l *Limiter) lookLocked(at time.Time) int64 {
	if !l.looked.IsZero() && at.Sub(l.looked) < lookEvery {
		return l.now
	}
	l.looked = at
	if next := l.schedule.At(at.Local()); next != l.now {
		l.now = next
		if next > 0 {
			burst, piece := bytesIn(burstTime, next), bytesIn(pieceTime, next)
			l.bucket = rate.NewLimiter(rate.Limit(next), int(burst))
			l.bucket.AllowN(at, int(burst-piece)) // no pause was before
		}
	}
	return l.now
}

// bytesIn returns how many bytes move in a time.
func bytesIn(d time.Duration, rate int64) int64 {
	return max(int64(float64(rate)*d.Seconds()), minPiece)
}

// reserve takes n bytes, at most a burst. It returns when they may move, and undo gives
// them back.
func (l *Limiter) reserve(n int) (wait time.Duration, undo func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := time.Now()
	if l.lookLocked(at) == 0 {
		return 0, func() {}
	}
	r := l.bucket.ReserveN(at, min(n, l.bucket.Burst())) // the rate may have changed after n was chosen
	return r.DelayFrom(at), r.Cancel
}

// Share is what one transfer gets of a limiter. A nil Share limits nothing.
type Share struct {
	limiter *Limiter
	turn    chan struct{} // holds a value while no bytes wait
}

// Share returns a share for one more transfer.
func (l *Limiter) Share() *Share {
	if l == nil {
		return nil
	}
	s := &Share{limiter: l, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s
}

// Piece returns the most bytes to take at a time, up to a chunk.
func (s *Share) Piece() int64 {
	if s == nil {
		return proto.MaxChunkBytes
	}
	if rate := s.limiter.Rate(); rate > 0 {
		return min(bytesIn(pieceTime, rate), proto.MaxChunkBytes)
	}
	return proto.MaxChunkBytes
}

// Charge counts n bytes that have moved without being taken: those taken next wait for them.
func (s *Share) Charge(n int) {
	for s != nil && n > 0 {
		piece := min(n, int(s.Piece()))
		_, _ = s.limiter.reserve(piece)
		n -= piece
	}
}

// Take waits until n bytes, at most a piece, may move. It returns at once when done is
// closed.
func (s *Share) Take(n int, done <-chan struct{}) {
	if s == nil || s.limiter.Rate() == 0 {
		return
	}
	select {
	case <-s.turn:
	case <-done:
		return
	}
	defer func() { s.turn <- struct{}{} }()
	wait, undo := s.limiter.reserve(n)
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-done:
		undo()
	}
}
