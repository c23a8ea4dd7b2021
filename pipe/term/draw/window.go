package draw

import "mesh/pipe/term/vt"

// Window is the part of the shared terminal that the person's terminal has room
// for. It shows the surroundings of the cursor, or the place that the person moved
// to. If the shared terminal is smaller, it gets an edge, with the status line
// below. Above the shared screen are the lines that have scrolled off it.
type Window struct {
	Cols, Rows int // of the person's terminal
	// Status is shown on the last line, if there is room, and in any case if it is
	// Urgent.
	Status string
	Urgent bool

	top, left int  // the part of the shared screen in the upper left corner
	moved     bool // the window stays where it is; it does not follow the cursor

	scrolled bool // the first line is one above the shared screen
	first    int  // then: its number, as in [vt.Terminal.Numbers]
}

// Styles of what is not a part of the shared terminal.
var (
	edgeStyle   = vt.Style{Attr: vt.Dim}
	urgentStyle = vt.Style{Attr: vt.Inverse}
)

// Keyboard says what the person's keys are for. It decides how the terminal is to
// encode them.
type Keyboard int

// The uses of a keyboard.
const (
	// KeysUnused leaves the keyboard and the mouse as a terminal has them by default.
	KeysUnused Keyboard = iota
	// KeysParsed encodes keys as the shared terminal wants them. In addition pastes are
	// marked, and keys have their text beside them: package keys needs both to find
	// commands.
	KeysParsed
	// KeysForwarded encodes keys exactly as the shared terminal wants them.
	KeysForwarded
)

// Moved reports whether the window stays where the person moved it.
func (w *Window) Moved() bool { return w.moved }

// Scrolled reports whether the window begins above the shared screen.
func (w *Window) Scrolled() bool { return w.scrolled }

// visibleRows returns how many of rows lines of the shared terminal are shown: one
// less than the window has if the status line needs that one.
func (w *Window) visibleRows(rows int) int {
	if rows > w.Rows {
		return max(w.Rows-1, 1)
	}
	return rows
}

// Move moves the window by so many lines and columns: negative ones move up, into
// what has scrolled off the screen, and left. Then the window stays at its lines
// while more is printed. Back on the screen, it follows the cursor again.
func (w *Window) Move(t *vt.Terminal, down, right int) {
	oldest, top := t.Numbers()
	first := top + w.top + down
	if w.scrolled {
		first = w.first + down
	}
	w.left += right
	w.moved = !w.scrolled || first < top
	w.first, w.top = max(first, oldest), max(first-top, 0)
	w.scrolled = w.first < top
}

// MoveHalf moves the window by half its height or width, in the direction of the
// signs of down and right.
func (w *Window) MoveHalf(t *vt.Terminal, down, right int) {
	w.Move(t, down*max(w.Rows/2, 1), right*max(w.Cols/2, 1))
}

// Page returns by how many lines to move so that one line stays visible.
func (w *Window) Page(t *vt.Terminal) int {
	_, rows := t.Size()
	return max(w.visibleRows(rows)-1, 1)
}

// FollowCursor moves the window back to the cursor, and has it follow.
func (w *Window) FollowCursor() { w.moved, w.scrolled = false, false }

// Above returns how many lines the window begins above the shared screen, and how
// many lines there are.
func (w *Window) Above(t *vt.Terminal) (lines, all int) {
	oldest, top := t.Numbers()
	return top - w.first, top - oldest
}

// Picture composes what the person's terminal is to show of t.
func (w *Window) Picture(t *vt.Terminal, k Keyboard) *Picture {
	w.skipForgotten(t)
	w.showCursor(t)
	p := newPicture(w.Cols, w.Rows)
	visible := w.drawLines(p, t)
	w.drawStatus(p, visible)
	p.cursor = t.Cursor()
	p.cursor.Row -= w.top
	p.cursor.Col -= w.left
	if c := &p.cursor; w.scrolled || c.Row < 0 || c.Row >= visible || c.Col < 0 || c.Col >= w.Cols {
		c.Visible, c.Row, c.Col = false, 0, 0
	}
	p.modes = keyModesOf(t.Modes(), k, w.top == 0 && w.left == 0 && !w.scrolled)
	return p
}

// showCursor moves the window, as little as necessary, so that the cursor is in it.
func (w *Window) showCursor(t *vt.Terminal) {
	cols, rows := t.Size()
	visible := w.visibleRows(rows)
	if c := t.Cursor(); c.Visible && !w.moved {
		w.top = max(min(w.top, c.Row), c.Row-visible+1)
		w.left = max(min(w.left, c.Col), c.Col-w.Cols+1)
	}
	w.top = max(min(w.top, rows-visible), 0)
	w.left = max(min(w.left, cols-w.Cols), 0)
}

// skipForgotten moves the window down from scrolled lines that the terminal has
// forgotten. If that leads back to the screen, the window follows the cursor.
func (w *Window) skipForgotten(t *vt.Terminal) {
	if oldest, top := t.Numbers(); w.scrolled {
		w.first = max(w.first, oldest)
		w.scrolled = w.first < top
		w.moved = w.scrolled
	}
}

// drawLines draws the visible lines of t and the edges around them, and returns how
// many lines are visible.
func (w *Window) drawLines(p *Picture, t *vt.Terminal) (visible int) {
	cols, rows := t.Size()
	reverse := t.Modes().ReverseVideo
	visible = w.visibleRows(rows)
	for y := range visible {
		line, n := w.lineAt(t, y)
		closeWide(p.line(y)[:copy(p.line(y), line)])
		if reverse {
			for x := range n {
				p.line(y)[x].Style.Attr ^= vt.Inverse
			}
		}
		if n < w.Cols {
			p.line(y)[n] = vt.Cell{Text: "│", Width: 1, Style: edgeStyle}
		}
	}
	if visible < w.Rows {
		drawLowerEdge(p.line(visible), cols)
	}
	return visible
}

// lineAt returns the visible cells of a line of the window, and how many columns the
// shared terminal has there.
func (w *Window) lineAt(t *vt.Terminal, y int) (cells []vt.Cell, n int) {
	cols, _ := t.Size()
	first := w.first
	if !w.scrolled {
		_, top := t.Numbers()
		first = top + w.top
	}
	line := t.Numbered(first + y)
	return line[min(w.left, len(line)):min(cols, len(line))], min(cols-w.left, w.Cols)
}

func (w *Window) drawStatus(p *Picture, visible int) {
	if w.Rows < 2 || w.Status == "" || !w.Urgent && visible >= w.Rows {
		return
	}
	style := edgeStyle
	if w.Urgent {
		style = urgentStyle
	}
	copy(p.line(w.Rows-1), cellsOf(w.Status, style, w.Cols))
}

// closeWide replaces the halves of wide characters that are cut at the ends of what
// is visible.
func closeWide(visible []vt.Cell) {
	if len(visible) == 0 {
		return
	}
	if visible[0].Width == 0 {
		visible[0] = vt.Cell{Text: " ", Width: 1, Style: visible[0].Style}
	}
	if last := len(visible) - 1; visible[last].Width == 2 {
		visible[last] = vt.Cell{Text: " ", Width: 1, Style: visible[last].Style}
	}
}

// drawLowerEdge draws the edge below a shared terminal of so many columns.
func drawLowerEdge(line []vt.Cell, cols int) {
	for x := range line {
		switch {
		case x < cols:
			line[x] = vt.Cell{Text: "─", Width: 1, Style: edgeStyle}
		case x == cols:
			line[x] = vt.Cell{Text: "┘", Width: 1, Style: edgeStyle}
		}
	}
}
