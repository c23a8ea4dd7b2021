package view

import "mesh/pipe/term/vt"

// window is the part of the shared terminal that the person's own has room for.
// A larger shared one is cut to what is around its cursor, or where the person
// has moved to; a smaller one has an edge, and the status line below it. Above the
// shared screen are the lines that have scrolled off it.
type window struct {
	cols, rows int // of the person's terminal
	top, left  int // what of the shared one is in its upper left corner
	moved      bool

	scrolled bool // above the shared screen
	first    int  // then: the number of the line at the top, as [vt.Terminal.Numbers] has it

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

// move moves the window by so many lines and columns; negative ones are up, into what
// has scrolled away, and left. There it stays with its lines, whatever is printed.
func (w *window) move(t *vt.Terminal, down, right int) {
	oldest, top := t.Numbers()
	first := top + w.top + down
	if w.scrolled {
		first = w.first + down
	}
	w.left += right
	w.moved = !w.scrolled || first < top // back on the screen it follows the cursor again
	w.first, w.top = max(first, oldest), max(first-top, 0)
	w.scrolled = w.first < top
}

// page is by how many lines the window moves so that one of them is seen before and
// after.
func (w *window) page(t *vt.Terminal) int {
	_, rows := t.Size()
	return max(w.room(rows)-1, 1)
}

// follows goes back to the cursor.
func (w *window) follows() { w.moved, w.scrolled = false, false }

// back is by how many lines the window is above the shared screen, of how many there
// are.
func (w *window) back(t *vt.Terminal) (lines, all int) {
	oldest, top := t.Numbers()
	return top - w.first, top - oldest
}

// settle leaves scrolled lines that are not there any more: where that is back on the
// screen, it follows the cursor again.
func (w *window) settle(t *vt.Terminal) {
	if oldest, top := t.Numbers(); w.scrolled {
		w.first = max(w.first, oldest)
		w.scrolled = w.first < top
		w.moved = w.scrolled
	}
}

// shown returns the cells of a line of the window that it has room for, and how many
// the shared terminal has there.
func (w *window) shown(t *vt.Terminal, y int) (cells []vt.Cell, n int) {
	cols, _ := t.Size()
	first := w.first
	if !w.scrolled {
		_, top := t.Numbers()
		first = top + w.top
	}
	line := t.Numbered(first + y)
	return line[min(w.left, len(line)):min(cols, len(line))], min(cols-w.left, w.cols)
}

// picture returns what is to be shown of a terminal. Keys of a viewer who may
// type are encoded as the shared terminal wants them.
func (w *window) picture(t *vt.Terminal, types bool) *picture {
	w.settle(t)
	w.follow(t)
	cols, rows := t.Size()
	modes := t.Modes()
	p := newPicture(w.cols, w.rows)
	visible := w.room(rows)
	for y := range visible {
		line, n := w.shown(t, y)
		w.cut(p.line(y)[:copy(p.line(y), line)])
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
	if w.scrolled || c.Row < 0 || c.Row >= visible || c.Col < 0 || c.Col >= w.cols {
		c.Visible, c.Row, c.Col = false, 0, 0
	}
	p.cursor = c
	if types {
		p.modes = keyModesOf(modes, w.top == 0 && w.left == 0 && !w.scrolled)
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
