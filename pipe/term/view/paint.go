package view

import (
	"strconv"

	"mesh/pipe/term/vt"
)

// picture is what a person's terminal is to show.
type picture struct {
	cols, rows int
	cells      []vt.Cell // rows lines of cols
	cursor     vt.Cursor
	modes      keyModes
	title      string // of the terminal; "" leaves it alone
}

func newPicture(cols, rows int) *picture {
	p := &picture{cols: cols, rows: rows, cells: make([]vt.Cell, cols*rows)}
	for i := range p.cells {
		p.cells[i] = blank
	}
	return p
}

var blank = vt.Cell{Text: " ", Width: 1}

func (p *picture) line(y int) []vt.Cell { return p.cells[y*p.cols : (y+1)*p.cols] }

// painter makes a terminal show pictures, with no more than what has changed: text
// of [clean], SGR, CUP, EL, the cursor's look, links of [linkOf], a title of [title],
// and the modes of the keyboard and the mouse. Nothing else that the sharer's programs
// wrote gets through it.
type painter struct {
	shown   *picture // nil when it is not known what is shown
	noErase bool     // what is erased does not get the colour behind it

	row, col int // where the terminal's cursor is; col -1 is unknown
	style    vt.Style
	styled   bool // style is what the terminal has
	link     string
	links    int // bytes of links in this picture
	out      []byte
}

// forget has the next picture drawn whole.
func (p *painter) forget() { p.shown = nil }

// paint returns the bytes that make the terminal show a picture, good until the
// next call; none if it does.
func (p *painter) paint(next *picture) []byte {
	p.out, p.links = p.out[:0], 0
	whole := p.shown == nil || p.shown.cols != next.cols || p.shown.rows != next.rows
	if whole {
		p.shown = newPicture(next.cols, next.rows)
		p.shown.modes = keyModes{}
		p.shown.cursor = vt.Cursor{Visible: true, Style: -1}
		p.styled, p.col = false, -1
		p.out = append(p.out, noLink...)
	}
	changed := whole
	for y := 0; y < next.rows && !changed; y++ {
		changed = !equal(p.shown.line(y), next.line(y))
	}
	if changed {
		p.showCursor(false)
		for y := range next.rows {
			p.paintLine(y, next.line(y), whole)
		}
		copy(p.shown.cells, next.cells)
		last := p.style
		last.Link, last.LinkID = "", "" // none is left open
		p.pen(last)
	}
	if next.title != "" && next.title != p.shown.title {
		p.out = append(append(append(p.out, "\x1b]2;"...), next.title...), '\a')
		p.shown.title = next.title
	}
	if whole || next.modes != p.shown.modes {
		p.out = next.modes.append(p.out, p.shown.modes, whole)
		p.shown.modes = next.modes
		// Some terminals take those of the keyboard for what sets the pen, or moves
		// the cursor.
		p.styled, p.col = false, -1
	}
	p.paintCursor(next.cursor)
	return p.out
}

func equal(a, b []vt.Cell) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func (p *painter) paintLine(y int, next []vt.Cell, whole bool) {
	shown := p.shown.line(y)
	if whole {
		p.move(y, 0)
		p.pen(vt.Style{})
		p.out = append(p.out, "\x1b[K"...)
	}
	end, rest := p.rest(next)
	unsure := false // the cell before may have covered this one
	for x := 0; x < len(next); x++ {
		if next[x] == shown[x] && !unsure {
			continue
		}
		if x >= end && !unsure {
			p.move(y, x)
			p.pen(rest)
			p.out = append(p.out, "\x1b[K"...)
			return
		}
		if next[x].Width == 0 && x > 0 && next[x-1].Width == 2 {
			x-- // the left half is drawn again
		}
		unsure = p.paintCell(y, x, next[x], len(next))
		if next[x].Width == 2 {
			x++
		}
	}
}

// rest returns where the end of a line begins that can be erased, and the style
// that it has then.
func (p *painter) rest(line []vt.Cell) (int, vt.Style) {
	last := line[len(line)-1]
	style := vt.Style{Bg: last.Style.Bg}
	if last.Text != " " || last.Style != style || p.noErase && style.Bg != 0 {
		return len(line), vt.Style{}
	}
	end := len(line) - 1
	for end > 0 && line[end-1] == last {
		end--
	}
	return end, style
}

// paintCell draws a cell, and reports whether the next one must be drawn too.
func (p *painter) paintCell(y, x int, c vt.Cell, cols int) (unsure bool) {
	text := clean(c)
	n := max(c.Width, 1)
	if c.Width == 0 || x+n > cols {
		text, n = " ", 1 // half of a wide character
	}
	p.pen(c.Style)
	if trusted(text) {
		p.move(y, x)
		p.out = append(p.out, text...)
		p.col += n
		return false
	}
	// The terminal may think the character narrower or wider than it is here.
	p.move(y, x)
	p.out = append(p.out, "  "[:n]...)
	p.col = -1
	p.move(y, x)
	p.out = append(p.out, text...)
	p.col = -1
	return true
}

// move puts the terminal's cursor somewhere.
func (p *painter) move(row, col int) {
	if p.col == col && p.row == row {
		return
	}
	p.out = append(p.out, "\x1b["...)
	p.out = strconv.AppendInt(p.out, int64(row)+1, 10)
	p.out = append(p.out, ';')
	p.out = strconv.AppendInt(p.out, int64(col)+1, 10)
	p.out = append(p.out, 'H')
	p.row, p.col = row, col
}

// pen sets the style of what is written next.
func (p *painter) pen(s vt.Style) {
	if p.styled && p.style == s {
		return
	}
	if s.Link != p.style.Link || s.LinkID != p.style.LinkID {
		p.setLink(s)
	}
	was := p.style
	p.style = s
	s.Link, s.LinkID, was.Link, was.LinkID = "", "", "", ""
	if !p.styled || s != was {
		p.out = appendSGR(p.out, s)
	}
	p.styled = true
}

// setLink begins the style's link, or ends the one before.
func (p *painter) setLink(s vt.Style) {
	link := ""
	if p.links < maxLinksBytes {
		link = linkOf(s)
		p.links += len(link)
	}
	if link == p.link {
		return
	}
	p.link = link
	if link == "" {
		link = noLink
	}
	p.out = append(p.out, link...)
}

func (p *painter) showCursor(visible bool) {
	if p.shown.cursor.Visible == visible {
		return
	}
	p.shown.cursor.Visible = visible
	if visible {
		p.out = append(p.out, "\x1b[?25h"...)
	} else {
		p.out = append(p.out, "\x1b[?25l"...)
	}
}

func (p *painter) paintCursor(c vt.Cursor) {
	p.move(c.Row, c.Col)
	if c.Style != p.shown.cursor.Style && c.Style >= 0 && c.Style <= 6 {
		p.out = append(p.out, "\x1b["...)
		p.out = strconv.AppendInt(p.out, int64(c.Style), 10)
		p.out = append(p.out, " q"...)
		p.shown.cursor.Style = c.Style
	}
	p.showCursor(c.Visible)
	p.shown.cursor.Row, p.shown.cursor.Col = c.Row, c.Col
	if p.col >= p.shown.cols {
		p.col = -1 // behind the last column, where terminals differ
	}
}
