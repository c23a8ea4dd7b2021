package view

import "mesh/pipe/term/vt"

// Screen paints a terminal as a viewer's with cols by rows, for tests.
type Screen struct {
	window  window
	painter painter
}

// NewScreen returns one.
func NewScreen(cols, rows int) *Screen {
	return &Screen{window: window{cols: cols, rows: rows}}
}

// Resize changes the size.
func (s *Screen) Resize(cols, rows int) { s.window.cols, s.window.rows = cols, rows }

// Move moves the window, and with nothing to the cursor.
func (s *Screen) Move(down, right int) {
	if down == 0 && right == 0 {
		s.window.follows()
		return
	}
	s.window.move(down, right)
}

// Status sets the status line.
func (s *Screen) Status(text string, matters bool) { s.window.status, s.window.matters = text, matters }

// Paint returns what goes to the viewer's terminal.
func (s *Screen) Paint(t *vt.Terminal, types bool) []byte {
	return s.painter.paint(s.window.picture(t, types))
}

// Clean is clean.
func Clean(c vt.Cell) string { return clean(c) }
