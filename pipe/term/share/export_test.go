package share

import (
	"time"

	"mesh/proto/wire"
)

// Held is how many frames a viewer's pace remembers after n that it was sent and
// has acknowledged, every apart.
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

// Queued is how many bytes wait for the terminal to take them.
func Queued(s *Session) int {
	s.arbiter.mu.Lock()
	defer s.arbiter.mu.Unlock()
	return s.arbiter.queued
}

// Find is the node id of the viewer that who stands for.
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

// FairMutex is a fairMutex that tells whether somebody waits.
type FairMutex struct{ fairMutex }

// Waited reports whether somebody waits to get in.
func (t *FairMutex) Waited() bool {
	if t.next.TryLock() {
		t.next.Unlock()
		return false
	}
	return true
}

// Painted is the snapshot that a new viewer gets which has found out just before that
// one is due.
func Painted(s *Session, who Visitor) ([]byte, error) {
	v, err := s.join(who, wire.TermOpen{Mode: wire.TermScreen}, func(error) {})
	if err != nil {
		return nil, err
	}
	defer s.leave(v)
	v.appendSnapshot()
	return v.sub.frame, nil
}
