package share

import (
	"time"

	"mesh/proto/wire"
)

// Held returns how many frames a pace remembers after n frames that were sent and
// acknowledged, one in each interval.
func Held(raw bool, n int, every time.Duration) (held int, err error) {
	p := pace{fixed: raw}
	now := time.Now()
	for seq := int64(1); seq <= int64(n); seq++ {
		p.sent(seq, 1000, now)
		now = now.Add(every)
		if err := p.ack(seq, now); err != nil {
			return 0, err
		}
	}
	return len(p.frames) + len(p.taken), nil
}

// Queued returns how many bytes the terminal has not accepted yet.
func Queued(s *Session) int {
	s.arbiter.mu.Lock()
	defer s.arbiter.mu.Unlock()
	return s.arbiter.queued
}

// Find returns the node id of the viewer that who names.
func Find(s *Session, who string) (string, error) {
	n, err := s.findViewer(who)
	for _, v := range s.List() {
		if v.Number == n {
			return v.PeerID, err
		}
	}
	return "", err
}

// Picture takes a snapshot.
func Picture(s *Session, lines int) { s.output.snapshot(lines, place{}) }

// FairMutex is a fairMutex that reports whether a goroutine waits.
type FairMutex struct{ fairMutex }

// Waited reports whether a goroutine waits for the lock.
func (t *FairMutex) Waited() bool {
	if t.next.TryLock() {
		t.next.Unlock()
		return false
	}
	return true
}

// Painted returns the snapshot frame that a new viewer gets if it has found out before
// the call that one is due.
func Painted(s *Session, who Visitor) ([]byte, error) {
	v, err := s.join(who, wire.TermOpen{Mode: wire.TermScreen}, func(error) {})
	if err != nil {
		return nil, err
	}
	defer s.leave(v)
	v.appendSnapshot()
	return v.sub.frame, nil
}
