package vt

// Text returns the screen as lines without the blanks at their ends.
func (t *Terminal) Text() []string {
	lines := make([]string, t.rows)
	for y := range lines {
		lines[y] = t.lineText(t.active.line(y))
	}
	return lines
}

func (t *Terminal) lineText(r *row) string {
	var b []byte
	for _, c := range r.cells[:min(r.used, t.cols)] {
		b = append(b, t.text(c)...)
	}
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	return string(b)
}

// Line returns the cells of a row of the screen, from 0 at the top. The slice
// is the caller's.
func (t *Terminal) Line(y int) []Cell { return t.cells(t.active.line(y)) }

// History returns the cells of a line that scrolled off the main screen, 0
// being the newest. It may be shorter or longer than the screen is wide now.
func (t *Terminal) History(i int) []Cell { return t.cells(t.main.past(i)) }

// HistoryLen returns how many lines of history there are.
func (t *Terminal) HistoryLen() int { return len(t.main.history) }

// HistoryWithin returns how many of the newest lines of history have at most so many
// cells together, which is what a snapshot of them costs.
func (t *Terminal) HistoryWithin(cells int) int {
	n := 0
	for n < len(t.main.history) {
		if cells -= t.main.past(n).used; cells < 0 {
			break
		}
		n++
	}
	return n
}

// Numbers returns the number of the oldest line that is kept, and that of the line
// at the top of the screen. Lines are numbered in the order in which they came, and
// keep their numbers when they scroll off the screen: after the history come the
// lines of the main screen, and then, while it is shown, those of the alternate one.
func (t *Terminal) Numbers() (oldest, top int) {
	top = t.main.gone
	oldest = top - len(t.main.history)
	if t.active == t.alt {
		top += t.rows
	}
	return oldest, top
}

// Numbered returns the cells of the line with a number, one that is kept or on the
// screen. It may be shorter or longer than the screen is wide. The slice is the
// caller's.
func (t *Terminal) Numbered(n int) []Cell {
	y := n - t.main.gone
	switch {
	case y < 0:
		return t.cells(t.main.past(-1 - y))
	case y < t.rows:
		return t.cells(t.main.line(y))
	}
	return t.cells(t.alt.line(y - t.rows))
}

func (t *Terminal) cells(r *row) []Cell {
	cells := make([]Cell, len(r.cells))
	for i, c := range r.cells {
		cells[i] = t.export(c)
	}
	return cells
}
