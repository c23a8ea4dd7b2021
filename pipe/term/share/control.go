package share

import (
	"context"
	"maps"
	"slices"
	"time"

	"mesh/proto"
)

// endTime is how long a viewer may take nothing before the end of a session no
// longer waits for it; drainTime is how long it waits for one that takes little.
const (
	endTime   = 2 * time.Second
	drainTime = 2 * time.Minute
)

// Kick sends a viewer away, and its node may not come back to this session.
func (s *Session) Kick(number int) error {
	s.mu.Lock()
	v := s.viewers[number]
	if v != nil {
		s.banned[v.who.ID] = true
	}
	s.mu.Unlock()
	if v == nil {
		return errNoViewer
	}
	s.arbiter.silence(v.typist)
	s.o.Audit.write(audited{Event: "kick", PeerID: v.who.ID, Peer: v.label})
	v.fail(proto.Errorf(proto.Declined, "the peer was sent away"))
	return nil
}

// Revoke takes from a viewer's node the right to type, for this session; 0 takes
// it from all, those to come too.
func (s *Session) Revoke(number int) error {
	s.mu.Lock()
	v := s.viewers[number]
	switch {
	case number == 0:
		s.silent = true
	case v == nil:
		s.mu.Unlock()
		return errNoViewer
	default:
		s.muted[v.who.ID] = true
	}
	var silenced []*typist
	for _, other := range s.viewers {
		if other.who.Caps.Has(proto.CapTTYControl) && (v == nil || other.who.ID == v.who.ID) {
			silenced = append(silenced, other.typist)
			other.notice, other.news = "you may not type here any more", true
			other.wake()
		}
	}
	s.mu.Unlock()
	for _, t := range silenced {
		s.arbiter.silence(t)
	}
	e := audited{Event: "revoke"}
	if v != nil {
		e.PeerID, e.Peer = v.who.ID, v.label
	}
	s.o.Audit.write(e)
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
		s.snapshot = snapshot{}
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
	tick := time.NewTicker(endTime / 10)
	defer tick.Stop()
	ended := time.Now()
	for {
		now := time.Now()
		live := 0
		s.mu.Lock()
		for _, v := range s.viewers {
			if heard := max(v.heard.UnixNano(), ended.UnixNano()); now.UnixNano()-heard < int64(endTime) {
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
