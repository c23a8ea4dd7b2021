package vt

// Resize changes the size. If the width changes, text of the main screen and its history
// that was wrapped, or that is too long now, is wrapped anew; see [screen.reflow]. Lines
// of the alternate screen are cut on the right, or get blanks. A lower screen loses lines
// below the cursor first, and then lines at the top, which go to the history. A higher
// screen takes lines back from the history if the cursor is in the last line.
func (t *Terminal) Resize(cols, rows int) {
	cols, rows = min(max(cols, MinCols), MaxCols), min(max(rows, MinRows), MaxRows)
	if cols == t.cols && rows == t.rows {
		return
	}
	if t.active == t.alt { // the main screen keeps the lines around the cursor that it will have
		t.main.x, t.main.y = t.main.saved.x, t.main.saved.y
	}
	if cols != t.cols {
		t.main.reflow(t.cols, cols, rows)
	} else {
		t.main.resize(cols, rows)
	}
	t.alt.resize(cols, rows)
	t.tabs = defaultTabs(t.tabs, cols)
	t.cols, t.rows = cols, rows
	t.printed = 0
	t.answered = 0
	if t.modes.SizeReports {
		t.reportSize()
	}
}

func (s *screen) resize(cols, rows int) {
	lines := make([]row, 0, max(rows, len(s.lines)))
	for y := range s.lines {
		lines = append(lines, s.line(y).resized(cols))
	}
	if extra := len(lines) - rows; extra > 0 {
		below := min(extra, len(lines)-1-s.y)
		lines = lines[:len(lines)-below]
		for i := range extra - below {
			s.pushHistory(&lines[i])
		}
		lines = lines[extra-below:]
		s.shiftCursors(below - extra)
	} else if extra < 0 {
		lines = s.grow(lines, -extra, cols)
	}
	s.lines, s.first = lines, 0
	s.top, s.bottom = 0, rows-1
	s.endLine(rows - 1) // the next line may be lost
	s.x, s.y = min(s.x, cols-1), min(max(s.y, 0), rows-1)
	s.saved.x, s.saved.y = min(s.saved.x, cols-1), min(max(s.saved.y, 0), rows-1)
}

// shiftCursors moves the cursors with lines that moved down by n.
func (s *screen) shiftCursors(n int) {
	s.y += n
	s.saved.y += n
}

// grow adds n lines: at the top from the history if the cursor is in the last line,
// the rest below.
func (s *screen) grow(lines []row, n, cols int) []row {
	back := 0
	if s.y == len(lines)-1 {
		back = min(n, len(s.history))
	}
	grown := make([]row, len(lines)+n)
	for i := range grown {
		grown[i].cells = make([]cell, cols)
	}
	for i := back - 1; i >= 0; i-- {
		s.popHistory(&grown[i])
	}
	copy(grown[back:], lines)
	s.shiftCursors(back)
	return grown
}

// resized returns a copy with cols columns.
func (r *row) resized(cols int) row {
	to := row{cells: make([]cell, cols), wide: r.wide, wrapped: r.wrapped && cols == len(r.cells)}
	to.used = copy(to.cells, r.cells[:r.used])
	to.trimWide(cols)
	return to
}
