package share

import "time"

// SizePolicy says whose size a terminal has.
type SizePolicy int

// The policies: the size of the sharer's own terminal, that of who typed last, or
// one that never changes.
const (
	SizeSharer SizePolicy = iota
	SizeWriter
	SizeFixed
)

// Type takes what the sharer's own keyboard sent. It does not block.
func (s *Session) Type(p []byte) { s.arbiter.local(p) }

// Resize tells the session the size of the sharer's own terminal. It is the
// session's, unless who types has another.
func (s *Session) Resize(cols, rows int) {
	a := s.arbiter
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sharer.size(cols, rows)
	if s.o.Size == SizeSharer || s.o.Size == SizeWriter && (a.holder == nil || a.holder == a.sharer) {
		s.resize(a.sharer, cols, rows)
	}
}

// took takes note that the terminal took a piece.
func (s *Session) took(p piece) {
	t := p.by
	if t == nil {
		return
	}
	s.mu.Lock()
	seq := s.history.end
	s.mu.Unlock()
	t.mu.Lock()
	t.count += int64(len(p.bytes))
	t.seq = seq
	t.mu.Unlock()
	if s.recent.note(t, time.Now()) {
		s.changed()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.viewers[t.number]; v != nil {
		v.news = true
		if v.idle {
			v.wake()
		}
	}
}
