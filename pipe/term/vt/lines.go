package vt

// Text returns the lines of the screen without trailing blanks.
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

// Line returns the cells of line y of the screen, 0 being the top. Colours that the
// program has changed (OSC 4, 10 and 11) are RGB values in it. The caller owns the
// slice.
func (t *Terminal) Line(y int) []Cell { return t.cells(t.active.line(y)) }

// History returns the cells of line i of the history, which scrolled off the main
// screen, 0 being the newest. Its length may differ from the screen's width.
func (t *Terminal) History(i int) []Cell { return t.cells(t.main.historyLine(i)) }

// HistoryLen returns the number of lines in the history.
func (t *Terminal) HistoryLen() int { return len(t.main.history) }

// HistoryWithin returns how many of the newest lines of the history have at most the
// given number of cells together: the size of a snapshot grows with the cells.
func (t *Terminal) HistoryWithin(cells int) int {
	n := 0
	for n < len(t.main.history) {
		if cells -= t.main.historyLine(n).used; cells < 0 {
			break
		}
		n++
	}
	return n
}

// Numbers returns the number of the oldest line in the history, and that of the line
// at the top of the screen. Lines are numbered from the oldest on, and keep their
// numbers when they scroll off the screen: first the history, then the lines of the
// main screen, then, while it is shown, those of the alternate screen. After a change
// of the width only the line at the top of the screen has its number still.
func (t *Terminal) Numbers() (oldest, top int) {
	top = t.main.pushed
	oldest = top - len(t.main.history)
	if t.active == t.alt {
		top += t.rows
	}
	return oldest, top
}

// Numbered returns the cells of the line with number n, which must be in the history
// or on the screen. Its length may differ from the screen's width. The caller owns
// the slice.
func (t *Terminal) Numbered(n int) []Cell {
	y := n - t.main.pushed
	switch {
	case y < 0:
		return t.cells(t.main.historyLine(-1 - y))
	case y < t.rows:
		return t.cells(t.main.line(y))
	}
	return t.cells(t.alt.line(y - t.rows))
}

func (t *Terminal) cells(r *row) []Cell {
	cells := make([]Cell, len(r.cells))
	changed := t.palette.changed()
	for i, c := range r.cells {
		cells[i] = t.export(c)
		if changed {
			t.palette.apply(&cells[i].Style)
		}
	}
	return cells
}
