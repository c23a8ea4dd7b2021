package vt

// insertCells inserts n blanks at column x. Cells that are pushed out on the right
// are lost.
func (t *Terminal) insertCells(r *row, x, n int, blank cell) {
	n = min(n, t.cols-x)
	r.wrapped = false
	r.splitWide(x, blank)
	r.splitWide(t.cols-n, blank)
	if x < r.used {
		copy(r.cells[x+n:], r.cells[x:r.used])
		r.used = min(r.used+n, t.cols)
	}
	r.put(x, x+n, blank)
}

// deleteCells deletes n cells at column x. Blanks come in on the right.
func (t *Terminal) deleteCells(r *row, x, n int, blank cell) {
	n = min(n, t.cols-x)
	r.wrapped = false
	r.splitWide(x, blank)
	r.splitWide(x+n, blank)
	if x < r.used {
		moved := copy(r.cells[x:], r.cells[min(x+n, r.used):r.used])
		clear(r.cells[x+moved : r.used])
		r.used = x + moved
	}
	r.fill(t.cols-n, t.cols, blank)
}

// put sets the cells from start to end, as fill does, but never reduces used.
func (r *row) put(start, end int, c cell) {
	for i := start; i < end && (i < r.used || c != (cell{})); i++ {
		r.cells[i] = c
		r.used = max(r.used, i+1)
	}
}

// erase blanks columns start to end of line y; selectively, it spares protected cells.
func (t *Terminal) erase(y, start, end int, selectively bool) {
	r := t.active.line(y)
	end = min(end, t.cols)
	if start >= end {
		return
	}
	if end == t.cols {
		r.wrapped = false
	}
	blank := t.erased()
	if selectively {
		for x := start; x < end; x++ {
			if t.styles.values[r.at(x).style()].attr&Protected == 0 {
				r.splitWide(x, blank)
				r.splitWide(x+1, blank)
				r.put(x, x+1, blank)
			}
		}
		return
	}
	r.splitWide(start, blank)
	r.splitWide(end, blank)
	r.fill(start, end, blank)
	if r.used == 0 {
		r.wide = false
	}
}

// eraseDisplay implements ED and DECSED.
func (t *Terminal) eraseDisplay(what int, selectively bool) {
	s := t.active
	first, last := 0, t.rows-1
	switch what {
	case 0:
		t.eraseLine(0, selectively)
		s.endLine(s.y)
		first = s.y + 1
	case 1:
		s.endLine(-1)
		t.erase(s.y, 0, s.x+1, selectively)
		last = s.y - 1
	case 2:
		s.endLine(-1)
	case 3:
		s.clearHistory()
		return
	default:
		return
	}
	for y := first; y <= last; y++ {
		t.erase(y, 0, t.cols, selectively)
	}
}

// eraseLine implements EL and DECSEL.
func (t *Terminal) eraseLine(what int, selectively bool) {
	s := t.active
	switch what {
	case 0:
		if s.x == 0 {
			s.endLine(s.y - 1)
		}
		t.erase(s.y, s.x, t.cols, selectively)
	case 1:
		t.erase(s.y, 0, s.x+1, selectively)
	case 2:
		s.endLine(s.y - 1)
		t.erase(s.y, 0, t.cols, selectively)
	}
}

// withinMargins reports whether the cursor is between the scrolling margins: only
// there are lines and columns inserted and deleted.
func (s *screen) withinMargins() bool { return s.y >= s.top && s.y <= s.bottom }

// insertLines implements IL.
func (t *Terminal) insertLines(n int) {
	if s := t.active; s.withinMargins() {
		s.scrollDown(s.y, s.bottom, n, t.erased())
		s.x = 0
	}
}

// deleteLines implements DL.
func (t *Terminal) deleteLines(n int) {
	if s := t.active; s.withinMargins() {
		s.remove(s.y, n, t.erased())
		s.x = 0
	}
}

// eachMarginLine calls f for each line between the margins, if the cursor is between
// them too.
func (t *Terminal) eachMarginLine(f func(*row)) {
	s := t.active
	if !s.withinMargins() {
		return
	}
	for y := s.top; y <= s.bottom; y++ {
		f(s.line(y))
	}
}

// align implements DECALN: it fills the screen with E.
func (t *Terminal) align() {
	s := t.active
	s.top, s.bottom = 0, t.rows-1
	for y := range t.rows {
		r := s.line(y)
		r.clear()
		r.fill(0, t.cols, cell{text: 'E'})
	}
	s.x, s.y = 0, 0
}
