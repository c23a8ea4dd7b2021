package vt

import "unicode/utf8"

// maxRun bounds how much text is printed at once: between two runs unused
// styles and texts are swept.
const maxRun = 64 << 10

// ground handles bytes from the ground state on, up to the first that leaves
// it, and returns the rest.
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
		case run[0] < utf8.RuneSelf: // DEL is nothing
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

// groundRune prints the character at the start of p and returns its length, or
// 0 if its end is not there yet.
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
				s.x = 0
				s.feed(t.erased())
			} else {
				s.x = t.cols - 1
				p = p[len(p)-1:] // all go to the last column
			}
		}
		r := s.line(s.y)
		n := min(t.cols-s.x, len(p))
		if r.wide {
			r.split(s.x, cell{attr: attr})
			r.split(s.x+n, cell{attr: attr})
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
		t.join(r)
		return
	}
	s := t.active
	if s.x+width > t.cols {
		switch {
		case t.modes.Wrap:
			if s.x < t.cols { // half a character's room is left
				line := s.line(s.y)
				blank := cell{attr: t.penNumber() << 2}
				line.split(s.x, blank)
				line.fill(s.x, t.cols, blank)
			}
			s.x = 0
			s.feed(t.erased())
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
	line.split(s.x, cell{attr: attr})
	line.split(s.x+width, cell{attr: attr})
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

// join adds a character without width to the one before the cursor. Where there
// is none it is dropped, and so is what goes beyond [maxClusterBytes].
func (t *Terminal) join(r rune) {
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
	c.text = cluster | t.clusters.number(text+string(r))
	line.cells[x] = c
	line.used = max(line.used, x+1)
}

// split makes sure that no wide character lies across the left edge of column
// x: its halves become blank.
func (r *row) split(x int, blank cell) {
	if !r.wide || x <= 0 || x >= r.used || r.cells[x].half() != spacer {
		return
	}
	r.cells[x-1], r.cells[x] = blank, blank
}

// mend blanks a half character at column x-1, the last of a row that was cut.
func (r *row) mend(cols int) {
	if r.wide && r.used >= cols && r.cells[cols-1].half() == lead {
		r.cells[cols-1] = cell{attr: r.cells[cols-1].style() << 2}
	}
}

// repeat prints the character before the cursor n times more (REP), if it was
// the last thing done. More than fill the screen are not.
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
