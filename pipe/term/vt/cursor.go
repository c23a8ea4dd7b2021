package vt

// clamp moves the cursor into the screen, and in origin mode into the margins.
func (t *Terminal) clamp() {
	s := t.active
	s.x = min(max(s.x, 0), t.cols-1)
	if t.modes.Origin {
		s.y = min(max(s.y, s.top), s.bottom)
	} else {
		s.y = min(max(s.y, 0), t.rows-1)
	}
}

// moveTo puts the cursor at column x and line y, counted from 0. In origin mode
// lines count from the top margin.
func (t *Terminal) moveTo(x, y int) {
	s := t.active
	if t.modes.Origin {
		y += s.top
	}
	s.x, s.y = x, y
	t.clamp()
}

// up moves the cursor up n lines. It stops at the top margin if it starts below it.
func (t *Terminal) up(n int) {
	t.clamp()
	s := t.active
	if s.y >= s.top {
		s.y = max(s.y-n, s.top)
	} else {
		s.y = max(s.y-n, 0)
	}
}

// down moves the cursor down n lines. It stops at the bottom margin if it starts
// above it.
func (t *Terminal) down(n int) {
	t.clamp()
	s := t.active
	if s.y <= s.bottom {
		s.y = min(s.y+n, s.bottom)
	} else {
		s.y = min(s.y+n, t.rows-1)
	}
}

// right moves the cursor n columns to the right; n may be negative.
func (t *Terminal) right(n int) {
	t.clamp()
	t.active.x += n
	t.clamp()
}

// reverseIndex moves the cursor up a line, scrolling at the top margin.
func (t *Terminal) reverseIndex() {
	t.clamp()
	s := t.active
	if s.y == s.top {
		s.scrollDown(s.top, s.bottom, 1, t.erased())
	} else if s.y > 0 {
		s.y--
	}
}

// lineFeed implements LF, VT and FF.
func (t *Terminal) lineFeed() {
	s := t.active
	if t.modes.Newline {
		s.x = 0
	}
	s.feed(t.erased())
	s.x = min(s.x, t.cols-1)
}

func (t *Terminal) backspace() {
	s := t.active
	s.x = min(s.x, t.cols-1)
	if s.x > 0 {
		s.x--
	}
}

// saveCursor implements DECSC.
func (t *Terminal) saveCursor() {
	s := t.active
	s.saved = saved{min(s.x, t.cols-1), s.y, t.pen, t.charsets, t.modes.Origin}
}

// restoreCursor implements DECRC. If no cursor was saved, the cursor goes home, in
// the default style.
func (t *Terminal) restoreCursor() {
	s := t.active
	s.x, s.y = s.saved.x, s.saved.y
	t.setPen(s.saved.pen)
	t.charsets, t.modes.Origin = s.saved.charsets, s.saved.origin
	t.clamp()
}

func (t *Terminal) setPen(p style) { t.pen, t.penKnown = p, false }

// defaultTabs returns the stops of old, and one every eight columns behind them.
func defaultTabs(old []bool, cols int) []bool {
	tabs := make([]bool, cols)
	for i := copy(tabs, old); i < cols; i++ {
		tabs[i] = i%8 == 0
	}
	return tabs
}

// tab moves the cursor to the n-th next stop, or the last column.
func (t *Terminal) tab(n int) {
	s := t.active
	for ; n > 0 && s.x < t.cols-1; n-- {
		for s.x++; s.x < t.cols-1 && !t.tabs[s.x]; s.x++ {
		}
	}
}

// backTab moves the cursor to the n-th stop before it, or the first column.
func (t *Terminal) backTab(n int) {
	s := t.active
	if s.x >= t.cols {
		return
	}
	for ; n > 0 && s.x > 0; n-- {
		for s.x--; s.x > 0 && !t.tabs[s.x]; s.x-- {
		}
	}
}
