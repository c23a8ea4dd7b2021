package draw

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mesh/pipe/term/vt"
)

// Painter makes a terminal show pictures. It writes no more than what has changed:
// text of [Clean], SGR, CUP, EL, autowrap and margins around one character, the cursor's look
// and colour, links of [linkOf], the title, and
// the modes of the keyboard and the mouse.
type Painter struct {
	shown      *Picture // nil when what the terminal shows is unknown
	plainErase bool     // erasing ignores the background colour
	colors     colors

	row, col int // where the terminal's cursor is; col -1 is unknown
	style    vt.Style
	styled   bool // the terminal's style is known: it is style
	link     string
	links    int // bytes of links in this picture
	out      []byte

	cursorColor vt.Color // that the terminal's cursor has got; 0 is the terminal's own
	colored     bool     // the cursor has got a colour at some time
}

// NewPainter returns a painter for a terminal of the kind that the values of TERM and
// COLORTERM name.
func NewPainter(term, colorTerm string) *Painter {
	// GNU screen, as it is set up by default, erases without the background colour.
	return &Painter{plainErase: strings.HasPrefix(term, "screen"), colors: colorsOf(term, colorTerm)}
}

// Forget has the next picture painted whole.
func (p *Painter) Forget() { p.shown = nil }

// Paint returns the bytes that make the terminal show a picture; none if it shows it
// already. They are valid until the next call.
func (p *Painter) Paint(next *Picture) []byte {
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
		changed = !slices.Equal(p.shown.line(y), next.line(y))
	}
	if changed {
		p.showCursor(false)
		for y := range next.rows {
			p.paintLine(y, next.line(y), whole)
		}
		copy(p.shown.cells, next.cells)
		last := p.style
		last.Link, last.LinkID = "", "" // no link stays open
		p.setStyle(last)
	}
	if next.Title != "" && next.Title != p.shown.Title {
		p.out = append(append(append(p.out, "\x1b]2;"...), next.Title...), '\a')
		p.shown.Title = next.Title
	}
	if whole || next.modes != p.shown.modes {
		p.out = next.modes.append(p.out, p.shown.modes, whole)
		p.shown.modes = next.modes
		// Some terminals mistake keyboard modes for SGR or for cursor movements.
		p.styled, p.col = false, -1
	}
	p.paintCursor(next.cursor)
	p.colorCursor(next.cursor.Color, whole)
	return p.out
}

// ColorsCursor reports whether [ResetCursorColor] must be written before the terminal is
// given back.
func (p *Painter) ColorsCursor() bool { return p.colored }

// colorCursor gives the terminal's cursor a colour (OSC 12), or its own one back. The
// colour is written as three numbers, whatever the program wrote. Terminals of 16 colours
// have no such sequence.
func (p *Painter) colorCursor(c vt.Color, whole bool) {
	if p.colors == colors16 || c == p.cursorColor && (c == 0 || !whole) {
		return
	}
	p.cursorColor = c
	r, g, b, ok := c.RGB()
	if !ok {
		p.out = append(p.out, ResetCursorColor...)
		return
	}
	p.colored = true
	p.out = fmt.Appendf(p.out, "\x1b]12;rgb:%02x/%02x/%02x\a", r, g, b)
}

func (p *Painter) paintLine(y int, next []vt.Cell, whole bool) {
	shown := p.shown.line(y)
	if whole {
		p.moveTo(y, 0)
		p.setStyle(vt.Style{})
		p.out = append(p.out, "\x1b[K"...)
	}
	end, tail := p.blankTail(next)
	unsure := false // the previous cell may have covered this one
	for x := 0; x < len(next); x++ {
		if next[x] == shown[x] && !unsure {
			continue
		}
		if x >= end && !unsure {
			p.moveTo(y, x)
			p.setStyle(tail)
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

// blankTail returns where the blanks at the end of a line begin that erasing can
// draw, and their style. It returns the line's length if there are none.
func (p *Painter) blankTail(line []vt.Cell) (int, vt.Style) {
	last := line[len(line)-1]
	style := vt.Style{Fg: last.Style.Fg, Bg: last.Style.Bg}
	if last.Text != " " || last.Style != style || p.plainErase && style.Bg != 0 {
		return len(line), vt.Style{}
	}
	end := len(line) - 1
	for end > 0 && line[end-1] == last {
		end--
	}
	return end, style
}

// paintCell paints a cell, and reports whether the next one must be painted too.
func (p *Painter) paintCell(y, x int, c vt.Cell, cols int) (unsure bool) {
	text := Clean(c)
	n := max(c.Width, 1)
	if c.Width == 0 || x+n > cols {
		text, n = " ", 1 // half of a wide character
	}
	p.setStyle(c.Style)
	if widthIsAgreed(text) {
		p.moveTo(y, x)
		p.out = append(p.out, text...)
		p.col += n
		return false
	}
	if base := string(firstRune(text)); x+n == cols && base != text && widthIsAgreed(base) {
		p.paintLastCell(y, x, text)
		return false
	}
	// The terminal may take the character for narrower or wider than we do: clear
	// its cells first, and place the cursor again afterwards.
	p.moveTo(y, x)
	p.out = append(p.out, "  "[:n]...)
	p.col = -1
	p.moveTo(y, x)
	p.out = append(p.out, text...)
	p.col = -1
	return true
}

// paintLastCell paints a character with combining marks in the last column. Without
// autowrap the cursor stays on it, and a terminal adds the marks to the cell before. So
// autowrap is on for the moment; the margins keep the last line from scrolling if the
// terminal takes a mark for a character.
func (p *Painter) paintLastCell(y, x int, text string) {
	rows := p.shown.rows
	last := y == rows-1 && rows > 2
	if last {
		p.out = append(append(append(p.out, "\x1b[1;"...), strconv.Itoa(rows-1)...), 'r')
		p.col = -1
	}
	p.moveTo(y, x)
	p.out = append(append(append(p.out, "\x1b[?7h"...), text...), "\x1b[?7l"...)
	if last {
		p.out = append(p.out, "\x1b[r"...)
	}
	p.col = -1
}

// moveTo places the terminal's cursor.
func (p *Painter) moveTo(row, col int) {
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

// setStyle sets the style of what is written next.
func (p *Painter) setStyle(s vt.Style) {
	if p.styled && p.style == s {
		return
	}
	if s.Link != p.style.Link || s.LinkID != p.style.LinkID {
		p.setLink(s)
	}
	last := p.style
	p.style = s
	s.Link, s.LinkID, last.Link, last.LinkID = "", "", "", ""
	if !p.styled || s != last {
		p.out = appendStyle(p.out, p.colors.fit(s))
	}
	p.styled = true
}

// setLink begins the style's link, or ends the previous one.
func (p *Painter) setLink(s vt.Style) {
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

func (p *Painter) showCursor(visible bool) {
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

func (p *Painter) paintCursor(c vt.Cursor) {
	p.moveTo(c.Row, c.Col)
	if c.Style != p.shown.cursor.Style && c.Style >= 0 && c.Style <= 6 {
		p.out = append(p.out, "\x1b["...)
		p.out = strconv.AppendInt(p.out, int64(c.Style), 10)
		p.out = append(p.out, " q"...)
		p.shown.cursor.Style = c.Style
	}
	p.showCursor(c.Visible)
	p.shown.cursor.Row, p.shown.cursor.Col = c.Row, c.Col
	if p.col >= p.shown.cols {
		p.col = -1 // terminals differ after the last column
	}
}
