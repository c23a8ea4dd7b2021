package view

import (
	"bytes"
	"io"
	"os"

	"mesh/pipe/term/vt"
)

// Painting paints a terminal as a viewer's with cols by rows, for tests.
type Painting struct {
	Peer string

	window  window
	painter painter
}

// NewPainting returns one.
func NewPainting(cols, rows int) *Painting {
	return &Painting{window: window{cols: cols, rows: rows}}
}

// Resize changes the size.
func (s *Painting) Resize(cols, rows int) { s.window.cols, s.window.rows = cols, rows }

// Move moves the window on t, and with nothing to the cursor.
func (s *Painting) Move(t *vt.Terminal, down, right int) {
	if down == 0 && right == 0 {
		s.window.follows()
		return
	}
	s.window.move(t, down, right)
}

// Status sets the status line.
func (s *Painting) Status(text string, matters bool) {
	s.window.status, s.window.matters = text, matters
}

// Paint returns what goes to the viewer's terminal.
func (s *Painting) Paint(t *vt.Terminal, types bool) []byte {
	p := s.window.picture(t, types)
	p.title = title(s.Peer, "", t)
	return s.painter.paint(p)
}

// Unsent is how many bytes wait for a sharer that reads nothing, and gives the right
// to type and takes it so often.
func Unsent(often int) int {
	s := &screen{view: &view{sender: newSender(io.Discard), o: Options{In: os.Stdin}}, raw: true}
	s.window.cols, s.window.rows = 80, 24
	for range often {
		s.may("tty:view,tty:control")
		s.may("tty:view")
	}
	frames, _, _ := s.sender.take()
	return len(frames)
}

// Clean is clean.
func Clean(c vt.Cell) string { return clean(c) }

// Filter returns what of raw output gets to a terminal, when it comes n bytes at a
// time, and whether the alternate screen is on then.
func Filter(out []byte, n int) ([]byte, bool) {
	var b bytes.Buffer
	f := &filter{w: &b}
	for len(out) > 0 {
		n := min(n, len(out))
		_, _ = f.Write(out[:n])
		out = out[n:]
	}
	return b.Bytes(), f.alt
}
