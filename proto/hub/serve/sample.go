package serve

import (
	"log/slog"
	"sync"
	"time"
)

// sampleBurst is how many lines a sampled log has at once; after that it has one a sampleEvery.
const (
	sampleBurst = 30
	sampleEvery = time.Second
)

// sampled is a log of what strangers do, who may do it as often as they like. A line after some
// that are missing has their number.
type sampled struct {
	log *slog.Logger

	mu      sync.Mutex
	used    int       // of the burst
	last    time.Time // when used was brought up to date
	missing int
}

func (s *sampled) info(now time.Time, message string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := int(now.Sub(s.last) / sampleEvery); n > 0 {
		s.used, s.last = max(s.used-n, 0), now
	}
	if s.used >= sampleBurst {
		s.missing++
		return
	}
	s.used++
	if s.missing > 0 {
		args = append(args, "missing", s.missing)
		s.missing = 0
	}
	s.log.Info(message, args...)
}
