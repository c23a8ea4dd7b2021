package vt

// A row is one line of cells. Cells from used on are blank in the default style.
type row struct {
	cells []cell
	used  int
	wide  bool // may contain wide characters

	// wrapped means that a character that found no room here continues the text in the
	// next line. The last line of a screen never has it.
	wrapped bool
}

func (r *row) clear() {
	clear(r.cells[:r.used])
	r.used, r.wide, r.wrapped = 0, false, false
}

// fill sets the cells from start to end.
func (r *row) fill(start, end int, c cell) {
	if c == (cell{}) {
		end = min(end, r.used)
		if start >= end {
			return
		}
		clear(r.cells[start:end])
		if end == r.used {
			r.used = start
		}
		return
	}
	for i := start; i < end; i++ {
		r.cells[i] = c
	}
	r.used = max(r.used, end)
}

// at returns cell i, or a blank one beyond the used cells.
func (r *row) at(i int) cell {
	if i < r.used {
		return r.cells[i]
	}
	return cell{}
}

// saved is the state that DECSC saves.
type saved struct {
	x, y     int
	pen      style
	charsets charsets
	origin   bool
}

// A screen is the main or the alternate one.
type screen struct {
	lines []row // a ring: the line at the top is lines[first]
	first int

	history      []row // a ring once it is full: the oldest is history[oldest]
	oldest       int
	maxHistory   int // in lines
	historyBytes int // the memory of the history
	pushed       int // lines that ever went to the history, those dropped since included

	// The cursor. x may be the number of columns: the last column was written,
	// and the next character wraps.
	x, y        int
	top, bottom int // scrolling margins, inclusive
	saved       saved
	keys        keyStack
}

func newScreen(cols, rows, maxHistory int) *screen {
	s := &screen{lines: make([]row, rows), maxHistory: maxHistory, bottom: rows - 1}
	for i := range s.lines {
		s.lines[i].cells = make([]cell, cols)
	}
	return s
}

// reset empties the screen and its history.
func (s *screen) reset() {
	for i := range s.lines {
		s.lines[i].clear()
	}
	s.clearHistory()
	s.x, s.y, s.top, s.bottom = 0, 0, 0, len(s.lines)-1
	s.saved, s.keys = saved{}, keyStack{}
}

// line returns line y of the screen.
func (s *screen) line(y int) *row {
	i := s.first + y
	if i >= len(s.lines) {
		i -= len(s.lines)
	}
	return &s.lines[i]
}

// historyLine returns line i of the history, 0 being the newest.
func (s *screen) historyLine(i int) *row {
	return &s.history[(s.oldest+len(s.history)-1-i)%len(s.history)]
}

// pushHistory appends a copy of a line to the history.
func (s *screen) pushHistory(r *row) {
	if s.maxHistory == 0 {
		return
	}
	s.pushed++
	var slot *row
	if s.historyBytes > maxHistoryBytes {
		s.dropHistory((len(s.history) + 7) / 8)
	}
	if len(s.history) < s.maxHistory {
		s.unroll()
		s.history = append(s.history, row{})
		slot = &s.history[len(s.history)-1]
	} else {
		slot = &s.history[s.oldest]
		s.historyBytes -= slot.bytes()
		if s.oldest++; s.oldest == len(s.history) {
			s.oldest = 0
		}
	}
	// Reuse the slot's memory if it is large enough and not much too large.
	if cap(slot.cells) < r.used || cap(slot.cells) > 2*r.used+16 {
		slot.cells = make([]cell, 0, (r.used+7)&^7)
	}
	slot.cells = append(slot.cells[:0], r.cells[:r.used]...)
	slot.used, slot.wide, slot.wrapped = r.used, r.wide, r.wrapped
	s.historyBytes += slot.bytes()
}

// popHistory moves the newest line of the history into r.
func (s *screen) popHistory(r *row) {
	last := s.historyLine(0)
	r.clear()
	r.used = copy(r.cells, last.cells[:last.used])
	r.wide, r.wrapped = last.wide, last.wrapped
	r.trimWide(len(r.cells))
	s.pushed--
	s.unroll()
	s.historyBytes -= s.history[len(s.history)-1].bytes()
	s.history[len(s.history)-1] = row{}
	s.history = s.history[:len(s.history)-1]
}

// unroll moves the oldest line of the history to the start of the slice.
func (s *screen) unroll() {
	if s.oldest == 0 {
		return
	}
	turned := make([]row, 0, len(s.history))
	turned = append(turned, s.history[s.oldest:]...)
	s.history, s.oldest = append(turned, s.history[:s.oldest]...), 0
}

// endLine ends the text in line y: the next line does not continue it. Line -1 is the
// newest line of the history.
func (s *screen) endLine(y int) {
	switch {
	case y >= 0:
		s.line(y).wrapped = false
	case len(s.history) > 0:
		s.historyLine(0).wrapped = false
	}
}

// scrollUp moves lines top to bottom up by n. The lines that come in are blank.
func (s *screen) scrollUp(top, bottom, n int, blank cell) {
	n = min(n, bottom-top+1)
	if top > 0 {
		s.endLine(top - 1)
	}
	s.endLine(bottom)
	if top == 0 && bottom == len(s.lines)-1 {
		s.first += n
		if s.first >= len(s.lines) {
			s.first -= len(s.lines)
		}
	} else {
		for y := top; y+n <= bottom; y++ {
			a, b := s.line(y), s.line(y+n)
			*a, *b = *b, *a
		}
	}
	s.blank(bottom-n+1, bottom, blank)
}

// scrollDown moves lines top to bottom down by n.
func (s *screen) scrollDown(top, bottom, n int, blank cell) {
	n = min(n, bottom-top+1)
	s.endLine(top - 1)
	s.endLine(bottom - n) // the lines after it are lost
	for y := bottom; y-n >= top; y-- {
		a, b := s.line(y), s.line(y-n)
		*a, *b = *b, *a
	}
	s.blank(top, top+n-1, blank)
}

// blank empties lines from first to last.
func (s *screen) blank(first, last int, c cell) {
	for y := first; y <= last; y++ {
		r := s.line(y)
		r.clear()
		r.fill(0, len(r.cells), c)
	}
}

// remove deletes n lines between the margins from line top on.
func (s *screen) remove(top, n int, blank cell) {
	s.endLine(top - 1)
	s.scrollUp(top, s.bottom, n, blank)
}

// wrap moves the cursor to the start of the next line, which continues the text of this
// one.
func (s *screen) wrap(blank cell) {
	if s.x == len(s.line(s.y).cells) {
		s.line(s.y).endWithoutPad()
	}
	last := s.y == len(s.lines)-1 && s.y != s.bottom
	s.x = 0
	s.feed(blank)
	switch {
	case last: // the cursor stays in the line
	case s.y > 0:
		s.line(s.y - 1).wrapped = true
	case len(s.history) > 0: // a screen of one line
		s.historyLine(0).wrapped = true
	}
}

// feed moves the cursor down a line, scrolling at the bottom margin. A line that
// scrolls off the top of the screen goes to the history.
func (s *screen) feed(blank cell) {
	s.endLine(s.y)
	switch {
	case s.y == s.bottom:
		if s.top == 0 {
			s.pushHistory(s.line(0))
		}
		s.scrollUp(s.top, s.bottom, 1, blank)
	case s.y < len(s.lines)-1:
		s.y++
	}
}
