package relay

import (
	"encoding/hex"
	"maps"
	"sync/atomic"
	"time"

	"mesh/proto"
)

// Stats are the numbers of a relay. Arrays and maps of doors have [DoorTCP] and [DoorWSS].
type Stats struct {
	// Pairs and Waiting are the pairs and places now.
	Pairs, Waiting int
	// Bytes counts what came in by each door and was passed on.
	Bytes map[string]uint64
	// Joins counts by door and result: "ok", or the name of the code of a refusal.
	Joins map[Join]uint64
	// LimitedSession and LimitedTotal are how long directions of pairs have waited for
	// the rate of their session, and for the rate of all.
	LimitedSession, LimitedTotal time.Duration
	// Sessions that had a pair and have ended, and how long they lasted together.
	Sessions    uint64
	SessionTime time.Duration
}

// Join is the key of [Stats.Joins].
type Join struct{ Door, Result string }

const (
	limitSession = iota
	limitTotal
)

// counters is what the relay counts.
type counters struct {
	bytes   [2]atomic.Uint64
	limited [2]atomic.Int64
	// Server.mu guards the rest.
	joins    map[Join]uint64
	sessions uint64
	took     time.Duration
}

func doorIndex(door string) int {
	if door == DoorTCP {
		return 0
	}
	return 1
}

// Stats returns the numbers as they are now.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := Stats{
		Pairs: len(s.pairs), Waiting: s.waiting, Joins: make(map[Join]uint64), Sessions: s.stats.sessions, SessionTime: s.stats.took,
		Bytes:          map[string]uint64{DoorTCP: s.stats.bytes[0].Load(), DoorWSS: s.stats.bytes[1].Load()},
		LimitedSession: time.Duration(s.stats.limited[limitSession].Load()), LimitedTotal: time.Duration(s.stats.limited[limitTotal].Load()),
	}
	maps.Copy(n.Joins, s.stats.joins)
	return n
}

// count counts a join with its outcome.
func (s *Server) count(door string, c proto.Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.joins[Join{door, c.String()}]++
}

// record is what the log tells of a session.
type record struct {
	began time.Time // of the first pair; zero before it
	doors [2]string // of the dialer and of the listener, in the newest pair
	bytes [2]atomic.Uint64
}

func (r *record) begin(p *pair) {
	if r.began.IsZero() {
		r.began = p.began
	}
	r.doors = [2]string{p.legs[0].door, p.legs[1].door}
}

// recordLocked logs a session that has lost its last connection. If nodes join it again,
// it is logged again, with the bytes since then.
func (s *Server) recordLocked(ses *session) {
	r := &ses.record
	if r.began.IsZero() {
		return
	}
	took := time.Since(r.began)
	s.stats.sessions++
	s.stats.took += took
	s.o.Log.Info("relay session ended", "session", hex.EncodeToString(ses.session[:]), "dialer", ses.dialer, "listener", ses.listener,
		"dialer_door", r.doors[0], "listener_door", r.doors[1], "dialer_bytes", r.bytes[0].Swap(0), "listener_bytes", r.bytes[1].Swap(0), "seconds", took.Seconds())
	r.began = time.Time{}
}
