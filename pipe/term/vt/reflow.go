package vt

// reflow changes the size of the main screen, whose lines have width columns, and wraps
// all text anew, that of the history included. The cursors stay on their characters. The
// line at the top stays there, unless the text gets longer than the screen, or shorter
// while the cursor is in the last line: then the text ends in the last line. Lines below
// the cursor are lost if the cursor would leave the screen otherwise.
func (s *screen) reflow(width, cols, rows int) {
	f := reflow{width: width, row: row{cells: make([]cell, cols)}}
	// A line becomes at most MaxCols lines: that many can follow those that are needed.
	f.to.maxHistory = s.maxHistory + rows + MaxCols
	s.unroll()
	for i := range s.history {
		f.add(&s.history[i], s.after(i-len(s.history)))
		s.history[i] = row{} // before the end, to need less memory at a time
	}
	top, cursor, last := 0, place{}, -1
	mark, marked := place{}, s.saved != (saved{})
	end := max(s.y, f.lastText(s))
	for y := 0; y <= end && (y <= s.y || f.to.pushed < cursor.y+rows); y++ {
		r, next := s.line(y), s.after(y)
		if y == 0 {
			top = f.locate(r, next, 0).y
		}
		if y == s.y {
			cursor = f.locate(r, next, s.x)
		}
		if y == s.saved.y && marked {
			mark = f.locate(r, next, s.saved.x)
		}
		f.add(r, next)
		last = y
	}
	f.end()
	if s.saved.y > last {
		mark = place{s.saved.x, f.to.pushed - 1 + s.saved.y - last}
	}
	first := f.first(top, cursor.y, rows, s.y == len(s.lines)-1)
	f.moveTo(s, first, rows)
	s.top, s.bottom = 0, rows-1
	s.x, s.y = min(cursor.x, cols), min(max(cursor.y-first, 0), rows-1)
	if marked {
		s.saved.x, s.saved.y = min(mark.x, cols-1), min(max(mark.y-first, 0), rows-1)
	}
}

// after returns the line after line y of the screen, or of the history if y is negative;
// nil if there is none.
func (s *screen) after(y int) *row {
	switch y++; {
	case y < 0:
		return s.historyLine(-1 - y)
	case y < len(s.lines):
		return s.line(y)
	}
	return nil
}

// reflow wraps text anew, line by line.
type reflow struct {
	width int    // of the old lines
	to    screen // takes the new lines, as history; they are numbered from 0
	row   row    // the new line that is being filled
	open  bool   // row belongs to a text that goes on
	cells []cell // those of the old line
}

// place is that of a cell: the number of a new line, and a column.
type place struct{ x, y int }

// text returns the cells of an old line that are text, and the blank that fills the rest
// of it. The pad before a wide character that had no room is no text.
func (f *reflow) text(r, next *row) (cells []cell, tail cell) {
	f.cells = append(f.cells[:0], r.cells[:min(r.used, f.width)]...)
	if r.wrapped {
		for len(f.cells) < f.width {
			f.cells = append(f.cells, cell{})
		}
		n := f.width
		if f.cells[n-1].isPad() && next != nil && next.at(0).half() == lead {
			n--
		}
		return f.cells[:n], cell{}
	}
	n := len(f.cells)
	if n == f.width && f.cells[n-1].isBlank() {
		tail.attr = f.cells[n-1].attr
	}
	for n > 0 && f.cells[n-1].isBlank() && f.cells[n-1].attr == tail.attr {
		n--
	}
	return f.cells[:n], tail
}

// isPad reports whether nothing was written to the cell.
func (c cell) isPad() bool { return c.text == 0 && c.half() == narrow }

// endWithoutPad makes the last cell of a row a space if nothing was written to it, so that
// it is no pad if a wide character comes next.
func (r *row) endWithoutPad() {
	if last := len(r.cells) - 1; r.at(last).isPad() {
		r.cells[last].text, r.used = ' ', last+1
	}
}

// isBlank reports whether the cell shows no more than its style.
func (c cell) isBlank() bool { return (c.text == 0 || c.text == ' ') && c.half() == narrow }

// lastText returns the last line of the screen that is not empty.
func (f *reflow) lastText(s *screen) int {
	y := len(s.lines) - 1
	for ; y > 0; y-- {
		if text, tail := f.text(s.line(y), s.after(y)); len(text) > 0 || tail != (cell{}) {
			break
		}
	}
	return y
}

// locate returns where the cell at column x of an old line will be, if the line is added
// next. Behind the text, it stays within the new width; directly behind it, it may be
// behind the last column.
func (f *reflow) locate(r, next *row, x int) place {
	text, _ := f.text(r, next)
	to, cols := place{f.row.used, f.to.pushed}, len(f.row.cells)
	for i := 0; i < len(text); {
		n := 1
		if text[i].half() == lead {
			n = 2
		}
		if to.x+n > cols {
			to = place{0, to.y + 1}
		}
		if i+n > x {
			to.x += x - i
			return to
		}
		to.x += n
		i += n
	}
	if x > len(text) {
		to.x = min(to.x+x-len(text), cols-1)
	}
	return to
}

// add adds an old line.
func (f *reflow) add(r, next *row) {
	text, tail := f.text(r, next)
	for len(text) > 0 {
		n := min(len(f.row.cells)-f.row.used, len(text))
		if n > 0 && n < len(text) && text[n-1].half() == lead {
			n--
		}
		if n == 0 {
			f.wrap(text[0])
			continue
		}
		copy(f.row.cells[f.row.used:], text[:n])
		f.row.used += n
		f.row.wide = f.row.wide || r.wide
		text = text[n:]
	}
	if f.open = true; r.wrapped {
		return
	}
	f.row.fill(f.row.used, len(f.row.cells), tail)
	f.end()
}

// wrap begins another new line with a cell that has no room in this one.
func (f *reflow) wrap(c cell) {
	if f.row.used == len(f.row.cells) {
		f.row.endWithoutPad()
	} else {
		f.row.fill(f.row.used, len(f.row.cells), cell{attr: c.style() << 2})
	}
	f.row.wrapped = true
	f.to.pushHistory(&f.row)
	f.row.clear()
}

// end ends a text.
func (f *reflow) end() {
	if f.open {
		f.to.pushHistory(&f.row)
		f.row.clear()
		f.open = false
	}
}

// first returns the new line that will be at the top of a screen of so many rows. top is
// the one that was there. The screen was full if the cursor was in its last line.
func (f *reflow) first(top, cursor, rows int, full bool) int {
	end, oldest := f.to.pushed, f.to.pushed-len(f.to.history)
	switch {
	case end-top > rows:
		top = min(end-rows, cursor)
	case full:
		top = min(end-rows, top)
	}
	return max(top, oldest)
}

// moveTo gives a screen the new lines, and so many rows from line first on.
func (f *reflow) moveTo(s *screen, first, rows int) {
	s.lines, s.first = make([]row, rows), 0
	for y := range s.lines {
		s.lines[y].cells = make([]cell, len(f.row.cells))
	}
	for f.to.pushed > first+rows {
		f.to.popHistory(&f.row) // below the screen
	}
	for f.to.pushed > first {
		f.to.popHistory(&s.lines[f.to.pushed-1-first])
	}
	s.endLine(rows - 1)
	if excess := len(f.to.history) - s.maxHistory; excess > 0 {
		f.to.dropHistory(excess)
	}
	s.history, s.oldest, s.historyBytes = f.to.history, f.to.oldest, f.to.historyBytes
}
