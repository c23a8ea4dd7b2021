package share

import (
	"context"
	"time"
)

// After [Session.Exit], EndTime is how long a viewer may take nothing until the session
// no longer waits for it. drainTime bounds the wait for viewers that take little.
const (
	EndTime   = 2 * time.Second
	drainTime = 2 * time.Minute
)

// Drain waits, after [Session.Exit], for the viewers to see the end. It returns when
// all have left, none of the rest takes anything, drainTime is over, or ctx ends.
func (s *Session) Drain(ctx context.Context) {
	tick := time.NewTicker(EndTime / 10)
	defer tick.Stop()
	ended := time.Now()
	for {
		now := time.Now()
		// Until EndTime all count as live.
		live := s.output.stream.liveSince(now.Add(-EndTime), now.Sub(ended) < EndTime)
		if live == 0 || now.Sub(ended) >= drainTime {
			return
		}
		select {
		case <-s.viewers.left:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// liveSince counts the subscribers whose viewers have shown more since a time, or all.
func (s *stream) liveSince(since time.Time, all bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	live := 0
	for sub := range s.subscribers {
		if all || sub.heard.After(since) {
			live++
		}
	}
	return live
}

// Dismiss ends the pipes of all viewers that are left with err.
func (s *Session) Dismiss(err error) {
	for _, v := range s.viewers.all() {
		v.fail(err)
	}
}
