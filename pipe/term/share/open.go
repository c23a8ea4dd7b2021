package share

import (
	"time"

	"mesh/pipe/term/vt"
)

// Screen calls f with the emulator, which nothing else uses meanwhile.
func (s *Session) Screen(f func(t *vt.Terminal)) {
	s.order.Lock()
	defer s.order.Unlock()
	f(s.emulator)
}

// Over reports whether the session has ended.
func (s *Session) Over() bool { return s.over() }

// Dismiss ends all viewers with err.
func (s *Session) Dismiss(err error) { s.dismiss(err) }

// Repaint returns bytes that draw the screen as it is.
func (s *Session) Repaint() []byte { return s.picture(0, place{}).repaint }

// SizeTime is the least time between two sizes of a viewer.
const SizeTime = 50 * time.Millisecond
