package share

import (
	"sync"

	"mesh/proto/wire"
)

// stream is the output as viewers follow it: a history and the places that the
// viewers have reached in it. The emulator is not a part of it, so that a viewer gets
// bytes while they are still being interpreted.
type stream struct {
	// mu guards what follows, and the marked fields of each subscriber. What writes to
	// the stream holds output.order, too.
	mu          sync.Mutex
	history     *history
	cols, rows  int
	exit        *wire.TermExit // nil while the command runs
	paused      bool
	subscribers map[*subscriber]struct{}
}

func (s *stream) init(cols, rows, bytes int) {
	s.history = newHistory(min(max(bytes, minHistory), maxHistory))
	s.cols, s.rows = cols, rows
	s.subscribers = make(map[*subscriber]struct{})
}

// append adds output.
func (s *stream) append(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.history.append(p)
	s.wakeIdle()
}

func (s *stream) resize(cols, rows int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cols, s.rows = cols, rows
	s.history.addEvent(&wire.TermResize{Seq: s.history.end, Cols: cols, Rows: rows})
	s.wakeIdle()
}

// keepsSize reports whether the terminal has this size already, or the command has
// ended.
func (s *stream) keepsSize(cols, rows int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cols == s.cols && rows == s.rows || s.exit != nil
}

// mark adds a mark, unless the command has ended.
func (s *stream) mark(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.exit == nil {
		s.history.addEvent(&wire.TermMark{Seq: s.history.end, Text: text})
		s.wakeIdle()
	}
}

// end sets how the command ended.
func (s *stream) end(code, signal int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exit = &wire.TermExit{Seq: s.history.end, Code: code, Signal: signal}
	for sub := range s.subscribers {
		sub.wake()
	}
}

// pause begins or ends a pause, and reports whether that changes anything. After a
// pause each viewer needs a snapshot.
func (s *stream) pause(paused bool) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.paused == paused {
		return false
	}
	s.paused = paused
	if !paused {
		s.history.clear()
		for sub := range s.subscribers {
			sub.needSnapshot()
		}
	}
	return true
}

// wakeIdle wakes the subscribers that wait for output. It is called with mu held.
func (s *stream) wakeIdle() {
	for sub := range s.subscribers {
		if sub.idle {
			sub.wake()
		}
	}
}

func (s *stream) size() (cols, rows int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cols, s.rows
}

func (s *stream) isOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exit != nil
}

func (s *stream) isPaused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.paused
}

// position returns the offset after all output so far.
func (s *stream) position() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.history.end
}
