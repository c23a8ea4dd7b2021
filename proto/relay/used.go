package relay

import (
	"bytes"
	"sync"
	"time"

	"mesh/proto/identity"
)

// UsedFor is how long the bytes count that two nodes have moved.
const UsedFor = time.Hour

// maxUsed bounds the couples whose bytes are counted.
const maxUsed = 1 << 16

// couple is two nodes, whichever of them dials.
type couple [2]identity.ID

func coupleOf(a, b identity.ID) couple {
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	return couple{a, b}
}

// used counts the bytes of all sessions of a couple.
type used struct {
	mu    sync.Mutex
	since time.Time // of the first byte that counts
	bytes uint64
}

// add counts bytes. A nil used counts none.
func (u *used) add(n int, now time.Time) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Sub(u.since) >= UsedFor {
		u.since, u.bytes = now, 0
	}
	u.bytes += uint64(n)
}

// of returns the bytes that count.
func (u *used) of(now time.Time) uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Sub(u.since) >= UsedFor {
		return 0
	}
	return u.bytes
}

// usedLocked returns what counts the bytes of two nodes, nil if they have no limit. When
// there is no room for one more couple, the one that has moved least is forgotten.
func (s *Server) usedLocked(a, b identity.ID) *used {
	if s.o.Bytes == 0 {
		return nil
	}
	key := coupleOf(a, b)
	if u := s.used[key]; u != nil {
		return u
	}
	if len(s.used) >= s.limits.couples {
		s.forgetUsedLocked()
	}
	u := new(used)
	s.used[key] = u
	return u
}

// forgetUsedLocked drops the couples that have moved nothing lately, or if there are none,
// the one that has moved least.
func (s *Server) forgetUsedLocked() {
	now := s.o.Now()
	var least couple
	fewest := ^uint64(0)
	for key, u := range s.used {
		n := u.of(now)
		if n == 0 {
			delete(s.used, key)
		}
		if n < fewest {
			least, fewest = key, n
		}
	}
	delete(s.used, least)
}

// Spent reports whether two nodes have moved [Options.Bytes] in their sessions: then the hub
// gives them no more permits until these bytes no longer count, at most [UsedFor] later.
func (s *Server) Spent(a, b identity.ID) bool {
	s.mu.Lock()
	u := s.used[coupleOf(a, b)]
	s.mu.Unlock()
	return u != nil && u.of(s.o.Now()) >= s.o.Bytes
}
