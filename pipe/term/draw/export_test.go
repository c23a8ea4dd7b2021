package draw

import "mesh/pipe/term/vt"

// Painting paints a terminal on a viewer's, for tests.
type Painting struct {
	Window
	Peer string

	painter Painter
}

// NewPainting returns a painting on a terminal of the given size.
func NewPainting(cols, rows int) *Painting {
	return &Painting{Window: Window{Cols: cols, Rows: rows}}
}

// Resize changes the size.
func (s *Painting) Resize(cols, rows int) { s.Cols, s.Rows = cols, rows }

// Pan moves the window on t; with two zeros it follows the cursor again.
func (s *Painting) Pan(t *vt.Terminal, down, right int) {
	if down == 0 && right == 0 {
		s.FollowCursor()
		return
	}
	s.Move(t, down, right)
}

// SetStatus sets the status line.
func (s *Painting) SetStatus(text string, urgent bool) { s.Status, s.Urgent = text, urgent }

// Paint returns what is written to the viewer's terminal.
func (s *Painting) Paint(t *vt.Terminal, types bool) []byte {
	use := KeysUnused
	if types {
		use = KeysParsed
	}
	p := s.Picture(t, use)
	p.Title = Title(s.Peer, "", t)
	return s.painter.Paint(p)
}
