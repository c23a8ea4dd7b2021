package view

import (
	"io"
	"os"
)

// Unsent returns how many bytes wait for a sharer that reads nothing, after it has given
// and revoked the right to type so often.
func Unsent(often int) int {
	s := &display{view: &view{sender: newSender(io.Discard, true), o: Options{In: os.Stdin}}, raw: true}
	s.window.Cols, s.window.Rows = 80, 24
	for range often {
		s.setRights("tty:view,tty:control")
		s.setRights("tty:view")
	}
	frames, _, _ := s.sender.nextFrames()
	return len(frames)
}
