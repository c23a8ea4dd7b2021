package share

import (
	"context"
	"maps"
	"slices"
	"time"

	"mesh/proto"
)

// EndTime is how long a viewer may take nothing before the end of a session no
// longer waits for it; drainTime is how long it waits for one that takes little.
const (
	EndTime   = 2 * time.Second
	drainTime = 2 * time.Minute
)

// Kick sends a viewer's node away, which may not come back to this session.
func (s *Session) Kick(number int) error {
	s.mu.Lock()
	v := s.viewers[number]
	if v == nil {
		s.mu.Unlock()
		return errNoViewer
	}
	s.banned[v.who.ID] = true
	var kicked []*viewer
	for _, other := range s.viewers {
		if other.who.ID == v.who.ID {
			kicked = append(kicked, other)
		}
	}
	s.mu.Unlock()
	for _, v := range kicked {
		s.arbiter.leave(v.typist)
		s.o.Audit.write(v.audited("kick"))
		v.fail(proto.Errorf(proto.Declined, "the peer was sent away"))
	}
	return nil
}

var errNoViewer = proto.Errorf(proto.Usage, "there is no such viewer")

// Pause holds all output back from viewers, and drops what they type. What is
// printed meanwhile none of them ever gets, but for what is on the screen when it
// ends.
func (s *Session) Pause(paused bool) {
	s.order.Lock()
	s.mu.Lock()
	if s.paused == paused {
		s.mu.Unlock()
		s.order.Unlock()
		return
	}
	s.paused = paused
	if !paused {
		s.history.clear()
		s.snapshot, s.scrolled = snapshot{}, snapshot{}
		for _, v := range s.viewers {
			v.behind, v.blocked = true, time.Time{}
		}
	}
	s.mu.Unlock()
	if !paused {
		s.purge = true
		s.forget()
	}
	s.order.Unlock()
	event := "resume"
	if paused {
		event = "pause"
		s.arbiter.pause()
	}
	s.o.Audit.write(audited{Event: event})
	s.changed()
}

func (s *Session) isPaused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.paused
}

// Drain waits for the viewers to see the end, after [Session.Exit], and returns
// when all have gone, none that is left takes anything, drainTime is over, or ctx
// ends.
func (s *Session) Drain(ctx context.Context) {
	tick := time.NewTicker(EndTime / 10)
	defer tick.Stop()
	ended := time.Now()
	for {
		now := time.Now()
		live := 0
		s.mu.Lock()
		for _, v := range s.viewers {
			if heard := max(v.heard.UnixNano(), ended.UnixNano()); now.UnixNano()-heard < int64(EndTime) {
				live++
			}
		}
		s.mu.Unlock()
		if live == 0 || now.Sub(ended) >= drainTime {
			return
		}
		select {
		case <-s.left:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// dismiss ends the links of all viewers that are left.
func (s *Session) dismiss(err error) {
	s.mu.Lock()
	left := slices.Collect(maps.Values(s.viewers))
	s.mu.Unlock()
	for _, v := range left {
		v.fail(err)
	}
}

// Begin writes the audit's first line.
func (s *Session) Begin() {
	cols, rows := s.Size()
	s.o.Audit.write(audited{Event: "share", Name: s.o.Name, Cols: cols, Rows: rows})
}
