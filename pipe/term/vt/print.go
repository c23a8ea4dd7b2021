package vt

import "unicode/utf8"

// maxRun bounds the text that is printed at once, in bytes: unused styles and texts
// are swept between two runs.
const maxRun = 64 << 10

// ground handles bytes in the ground state, up to the first one that leaves it, and
// returns the rest.
func (t *Terminal) ground(p []byte) []byte {
	for run := p[:min(len(p), maxRun)]; len(run) > 0; {
		n := printable(run)
		switch {
		case n > 0:
			if t.charsets.plain() && !t.modes.Insert {
				t.printASCII(run[:n])
			} else {
				for _, b := range run[:n] {
					t.printRune(t.charsets.translate(b))
				}
			}
		case run[0] == esc:
			t.clear()
			t.state = escape
			return p[1:]
		case run[0] < ' ':
			t.execute(run[0])
			n = 1
		case run[0] < utf8.RuneSelf: // DEL has no effect
			n = 1
		default:
			if n = t.groundRune(run); n == 0 {
				return t.nonASCII(p)
			}
		}
		run, p = run[n:], p[n:]
		if t.state != ground {
			break
		}
	}
	return p
}

// printable returns how many bytes at the start are printable ASCII.
func printable(p []byte) int {
	for i, b := range p {
		if b-' ' > '~'-' ' {
			return i
		}
	}
	return len(p)
}

// groundRune prints the character at the start of p and returns its length, or 0 if
// p ends within it.
func (t *Terminal) groundRune(p []byte) int {
	if !utf8.FullRune(p) {
		return 0
	}
	r, n := utf8.DecodeRune(p)
	t.rune(r)
	return n
}

// printASCII prints characters that are one column wide, without insert mode.
func (t *Terminal) printASCII(p []byte) {
	s := t.active
	attr := t.penNumber() << 2
	for len(p) > 0 {
		if s.x >= t.cols {
			if t.modes.Wrap {
				s.wrap(t.erased())
			} else {
				s.x = t.cols - 1
				p = p[len(p)-1:] // each overwrites the one before it in the last column
			}
		}
		r := s.line(s.y)
		n := min(t.cols-s.x, len(p))
		if r.wide {
			r.splitWide(s.x, cell{attr: attr})
			r.splitWide(s.x+n, cell{attr: attr})
		}
		cells := r.cells[s.x : s.x+n]
		for i, b := range p[:len(cells)] {
			cells[i] = cell{uint32(b), attr}
		}
		s.x += n
		r.used = max(r.used, s.x)
		p = p[n:]
	}
	t.printed = 1
}

// printRune prints one character.
func (t *Terminal) printRune(r rune) {
	width := Width(r)
	if width == 0 {
		t.combine(r)
		return
	}
	s := t.active
	if s.x+width > t.cols {
		switch {
		case t.modes.Wrap:
			if s.x < t.cols { // one column is left for a wide character
				line := s.line(s.y)
				blank := cell{attr: t.penNumber() << 2}
				line.splitWide(s.x, blank)
				line.fill(s.x, t.cols, blank)
			}
			s.wrap(t.erased())
		case width == 2:
			s.x = t.cols - 1
			t.printed = 0
			return
		default:
			s.x = t.cols - 1
		}
	}
	line := s.line(s.y)
	if t.modes.Insert {
		t.insertCells(line, s.x, width, t.erased())
	}
	attr := t.penNumber() << 2
	line.splitWide(s.x, cell{attr: attr})
	line.splitWide(s.x+width, cell{attr: attr})
	if width == 2 {
		line.cells[s.x] = cell{uint32(r), attr | lead}
		line.cells[s.x+1] = cell{0, attr | spacer}
		line.wide = true
	} else {
		line.cells[s.x] = cell{uint32(r), attr}
	}
	s.x += width
	line.used = max(line.used, s.x)
	t.printed = width
}

// combine adds a zero-width character to the one before the cursor. It is dropped if
// there is none, or if the text would exceed maxClusterBytes.
func (t *Terminal) combine(r rune) {
	s := t.active
	x := s.x - 1
	if x < 0 {
		return
	}
	line := s.line(s.y)
	if line.at(x).half() == spacer {
		x--
	}
	c := line.at(x)
	text := t.text(c)
	if len(text)+utf8.RuneLen(r) > maxClusterBytes {
		return
	}
	number, ok := t.clusterNumber(text + string(r))
	if !ok {
		return
	}
	c.text = cluster | number
	line.cells[x] = c
	line.used = max(line.used, x+1)
}

// splitWide blanks both halves of a wide character that lies across the left edge of
// column x.
func (r *row) splitWide(x int, blank cell) {
	if !r.wide || x <= 0 || x >= r.used || r.cells[x].half() != spacer {
		return
	}
	r.cells[x-1], r.cells[x] = blank, blank
}

// trimWide blanks the left half of a wide character in the last column of a row that
// was cut to cols columns.
func (r *row) trimWide(cols int) {
	if r.wide && r.used >= cols && r.cells[cols-1].half() == lead {
		r.cells[cols-1] = cell{attr: r.cells[cols-1].style() << 2}
	}
}

// repeat implements REP: it prints the character before the cursor n times more, if
// printing it was the last operation, and at most as often as fills the screen.
func (t *Terminal) repeat(n int) {
	s := t.active
	x := s.x - t.printed
	if t.printed == 0 || x < 0 {
		return
	}
	text := t.text(s.line(s.y).at(x))
	for range min(n, t.cols*t.rows) {
		for _, r := range text {
			t.printRune(r)
		}
	}
}
