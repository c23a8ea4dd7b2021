package vt

// Resize changes the size. Lines are not wrapped anew: they are cut on the
// right, or get blanks. When lines become fewer, those below the cursor go
// first, then those at the top, into the history; when they become more and the
// cursor is in the last one, the history gives them back. As in xterm.js.
func (t *Terminal) Resize(cols, rows int) {
	cols, rows = min(max(cols, MinCols), MaxCols), min(max(rows, MinRows), MaxRows)
	if cols == t.cols && rows == t.rows {
		return
	}
	if t.active == t.alt { // which lines of the main one go depends on where its cursor will be
		t.main.x, t.main.y = t.main.saved.x, t.main.saved.y
	}
	for _, s := range []*screen{t.main, t.alt} {
		s.resize(cols, rows)
	}
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
			s.remember(&lines[i])
		}
		lines = lines[extra-below:]
		s.moved(below - extra)
	} else if extra < 0 {
		lines = s.grow(lines, -extra, cols)
	}
	s.lines, s.first = lines, 0
	s.top, s.bottom = 0, rows-1
	s.x, s.y = min(s.x, cols-1), min(max(s.y, 0), rows-1)
	s.saved.x, s.saved.y = min(s.saved.x, cols-1), min(max(s.saved.y, 0), rows-1)
}

// moved takes the cursors along with lines that went n down.
func (s *screen) moved(n int) {
	s.y += n
	s.saved.y += n
}

// grow adds n lines: from the history if the cursor is in the last line, else below.
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
		s.recall(&grown[i])
	}
	copy(grown[back:], lines)
	s.moved(back)
	return grown
}

// resized returns a copy with cols columns.
func (r *row) resized(cols int) row {
	to := row{cells: make([]cell, cols), wide: r.wide}
	to.used = copy(to.cells, r.cells[:r.used])
	to.mend(cols)
	return to
}
