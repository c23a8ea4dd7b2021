package view

import "mesh/pipe/term/vt"

// window is the part of the shared terminal that the person's own has room for.
// A larger shared one is cut to what is around its cursor, or where the person
// has moved to; a smaller one has an edge, and the status line below it.
type window struct {
	cols, rows int // of the person's terminal
	top, left  int // what of the shared one is in its upper left corner
	moved      bool

	status  string // on the last line, if there is room
	matters bool   // even if there is none
}

// These are styles of our own.
var (
	edge   = vt.Style{Attr: vt.Dim}
	notice = vt.Style{Attr: vt.Inverse}
)

// room is how many lines of the shared terminal, of as many as it has, are shown:
// one less when the status line has a line of its own.
func (w *window) room(rows int) int {
	if rows > w.rows {
		return max(w.rows-1, 1)
	}
	return rows
}

// follow moves the window, as little as need be, to where the cursor is.
func (w *window) follow(t *vt.Terminal) {
	cols, rows := t.Size()
	visible := w.room(rows)
	if c := t.Cursor(); c.Visible && !w.moved {
		w.top = max(min(w.top, c.Row), c.Row-visible+1)
		w.left = max(min(w.left, c.Col), c.Col-w.cols+1)
	}
	w.top = max(min(w.top, rows-visible), 0)
	w.left = max(min(w.left, cols-w.cols), 0)
}

// move moves the window by half of it, down and right of 1 or -1.
func (w *window) move(down, right int) {
	w.moved = true
	w.top += down * max(w.rows/2, 1)
	w.left += right * max(w.cols/2, 1)
}

// follows goes back to the cursor.
func (w *window) follows() { w.moved = false }

// picture returns what is to be shown of a terminal. Keys of a viewer who may
// type are encoded as the shared terminal wants them.
func (w *window) picture(t *vt.Terminal, types bool) *picture {
	w.follow(t)
	cols, rows := t.Size()
	modes := t.Modes()
	p := newPicture(w.cols, w.rows)
	visible := w.room(rows)
	for y := range visible {
		line := t.Line(w.top + y)
		n := copy(p.line(y), line[w.left:])
		w.cut(p.line(y)[:n])
		if modes.ReverseVideo {
			for x := range n {
				p.line(y)[x].Style.Attr ^= vt.Inverse
			}
		}
		if n < w.cols {
			p.line(y)[n] = vt.Cell{Text: "│", Width: 1, Style: edge}
		}
	}
	if visible < w.rows {
		w.below(p.line(visible), cols)
	}
	if w.rows > 1 && w.status != "" && (w.matters || visible < w.rows) {
		style := edge
		if w.matters {
			style = notice
		}
		copy(p.line(w.rows-1), cells(w.status, style, w.cols))
	}
	c := t.Cursor()
	c.Row -= w.top
	c.Col -= w.left
	if c.Row < 0 || c.Row >= visible || c.Col < 0 || c.Col >= w.cols {
		c.Visible, c.Row, c.Col = false, 0, 0
	}
	p.cursor = c
	if types {
		p.modes = keyModesOf(modes, w.top == 0 && w.left == 0)
	}
	return p
}

// cut replaces the halves of wide characters at both ends of what is shown.
func (w *window) cut(shown []vt.Cell) {
	if len(shown) == 0 {
		return
	}
	if shown[0].Width == 0 {
		shown[0] = vt.Cell{Text: " ", Width: 1, Style: shown[0].Style}
	}
	if last := len(shown) - 1; shown[last].Width == 2 {
		shown[last] = vt.Cell{Text: " ", Width: 1, Style: shown[last].Style}
	}
}

// below draws the lower edge of a terminal that is smaller than the person's.
func (w *window) below(line []vt.Cell, cols int) {
	for x := range line {
		switch {
		case x < cols:
			line[x] = vt.Cell{Text: "─", Width: 1, Style: edge}
		case x == cols:
			line[x] = vt.Cell{Text: "┘", Width: 1, Style: edge}
		}
	}
}
