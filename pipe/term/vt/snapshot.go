package vt

import (
	"fmt"
	"slices"
	"strings"
)

// Snapshot returns bytes that bring another terminal of the same size, whatever its
// state, to the state of this one, with up to scrollback lines of history. With a
// scrollback of 0 they leave the other terminal's history alone, else they replace
// it. Without history, a line that began there begins at the top of the screen, and a
// change of the width wraps it from there. An unfinished sequence is not included:
// [Terminal.Pending] must follow unless [Terminal.Ground] reports true.
//
// Each mode is set or reset as here. Only synchronized output is always off
// afterwards, so that the painted screen is seen.
func (t *Terminal) Snapshot(scrollback int) []byte {
	p := painter{t: t, b: make([]byte, 0, 8<<10)}
	p.plain()
	p.add("\x1b[H\x1b[2J")
	if scrollback > 0 {
		p.add("\x1b[3J")
		p.history(min(scrollback, len(t.main.history)))
	}
	p.screen(t.main)
	if t.active == t.alt {
		p.enterAlt()
		p.screen(t.alt)
	}
	p.tabs()
	p.strings()
	p.modes()
	p.cursor()
	return p.b
}

// A painter writes the sequences that bring another terminal to the state of t.
type painter struct {
	t     *Terminal
	b     []byte
	style style // the other terminal's pen
}

func (p *painter) add(s string)                   { p.b = append(p.b, s...) }
func (p *painter) addf(format string, a ...any)   { p.b = fmt.Appendf(p.b, format, a...) }
func (p *painter) moveTo(x, y int)                { p.addf("\x1b[%d;%dH", y+1, x+1) }
func (p *painter) private(mode int, on bool)      { p.addf("\x1b[?%d%c", mode, onOff(on)) }
func (p *painter) margins(s *screen)              { p.addf("\x1b[%d;%dr", s.top+1, s.bottom+1) }
func (p *painter) osc(number int, payload string) { p.addf("\x1b]%d;%s\x1b\\", number, payload) }

func onOff(on bool) byte {
	if on {
		return 'h'
	}
	return 'l'
}

// plain aborts any sequence and brings the other terminal to a known state, in which
// text can be painted.
func (p *painter) plain() {
	p.add("\x18\x1b[?1049l\x1b[!p\x1b[?6l\x1b[r\x1b[4l\x1b[20l\x1b[?7h\x1b[?2026l")
	p.add("\x1b(B\x1b)B\x1b*B\x1b+B\x0f\x1b[m\x1b[0\"q\x1b]8;;\x1b\\")
	p.style = style{}
}

// history paints the newest n lines of history and scrolls them off the screen.
func (p *painter) history(n int) {
	if n == 0 {
		return
	}
	for i := n - 1; i >= 0; i-- {
		r := p.t.main.historyLine(i)
		p.row(r)
		if !r.wrapped {
			p.setStyle(style{}) // the line that scrolls in takes the pen's background
			p.add("\r\n")
		}
	}
	p.moveTo(0, p.t.rows-1)
	for range min(n, p.t.rows-1) {
		p.add("\n")
	}
}

// screen paints onto an empty screen, and sets the screen's state except the cursor.
func (p *painter) screen(s *screen) {
	wrapped := false
	for y := range p.t.rows {
		r := s.line(y)
		if !wrapped && (r.wrapped || p.length(r) > 0) {
			p.moveTo(0, y)
		}
		p.row(r)
		wrapped = r.wrapped
	}
	p.savedState(s.saved)
	p.add("\x1b7")
	p.private(6, false)
	p.margins(s)
	p.keys(&s.keys)
}

// savedState sets the state that DECSC saves. The margins must be those of the screen.
func (p *painter) savedState(s saved) {
	p.private(6, s.origin)
	p.moveTo(s.x, s.y)
	p.charsets(s.charsets)
	p.setStyle(s.pen)
}

// enterAlt switches to the alternate screen, with default state. It uses mode 1049,
// which saves the cursor, where possible: some terminals save that cursor separately
// from the one of DECSC.
func (p *painter) enterAlt() {
	s := p.t.main.saved
	if s.origin {
		p.private(1047, true)
	} else {
		p.moveTo(s.x, s.y)
		p.private(1049, true)
	}
	p.charsets(charsets{})
	p.setStyle(style{})
	p.add("\x1b[?6l\x1b[r\x1b[2J")
}

// length returns how many cells of a row must be painted.
func (p *painter) length(r *row) int {
	n := min(r.used, p.t.cols)
	if r.wrapped {
		return p.t.cols
	}
	for n > 0 && blank(r.cells[n-1]) {
		n--
	}
	return n
}

func blank(c cell) bool { return c.attr == 0 && (c.text == 0 || c.text == ' ') }

// row paints the cells of a line from the cursor's place on. If the next line continues
// the text, the cursor is at the start of that line then.
func (p *painter) row(r *row) {
	n := p.length(r)
	pad := r.wrapped && r.at(n-1) == cell{attr: r.at(n-1).style() << 2}
	if pad {
		n--
	}
	for x := 0; x < n; x++ {
		gap := x
		for gap < n-1 && blank(r.at(gap)) {
			gap++
		}
		if gap-x > 4 {
			p.addf("\x1b[%dC", gap-x)
			x = gap
		}
		c := r.at(x)
		if c.half() == spacer || c.half() == lead && x+1 >= p.t.cols {
			continue
		}
		p.cell(c)
		if next := x + int(c.half()) + 1; next < n && p.doubtful(c) {
			p.addf("\x1b[%dG", next+1)
		}
	}
	if r.wrapped {
		p.wrap(r.at(p.t.cols-1), pad)
	}
}

// wrap brings the cursor from the end of a line to the start of the next one, as text
// that continues there does. The last cell is a pad if a wide character had no room in it.
func (p *painter) wrap(last cell, pad bool) {
	if !pad {
		p.setStyle(style{})
		p.add(" \r")
		return
	}
	p.setStyle(p.t.styles.values[last.style()])
	p.add("\u3000\r") // the wide space
	p.setStyle(style{})
	p.addf("\x1b[%dX", p.t.cols)
}

// cell prints one cell's text in its style.
func (p *painter) cell(c cell) {
	p.setStyle(p.t.styles.values[c.style()])
	p.add(p.t.text(c))
}

// doubtful reports whether another terminal may give the character another width.
func (p *painter) doubtful(c cell) bool { return c.text >= 0x1f000 }

// setStyle sets the other terminal's pen.
func (p *painter) setStyle(s style) {
	if s == p.style {
		return
	}
	was := p.style
	p.style = s
	if (s.attr^was.attr)&Protected != 0 {
		p.addf("\x1b[%d\"q", s.attr&Protected/Protected)
	}
	if s.link != was.link {
		id, address := splitLink(p.t.links.values[s.link])
		if id != "" {
			id = "id=" + id
		}
		p.osc(8, id+";"+address)
	}
	was.attr, was.link = was.attr&^Protected, 0
	s.attr, s.link = s.attr&^Protected, 0
	if s != was {
		p.b = append(s.appendSGR(append(p.b, "\x1b["...)), 'm')
	}
}

// charsets designates the character sets and shifts to the one in use.
func (p *painter) charsets(c charsets) {
	for i, set := range c.g {
		if set == ascii7 {
			set = 'B'
		}
		p.addf("\x1b%c%c", "()*+"[i], set)
	}
	p.add([]string{"\x0f", "\x0e", "\x1bn", "\x1bo"}[c.gl])
}

// keys sets a screen's stack of keyboard flags.
func (p *painter) keys(k *keyStack) {
	p.addf("\x1b[<%du", maxKeys+1)
	for i := range k.n {
		p.key(i, k.under[i])
	}
	p.key(k.n, k.now)
}

func (p *painter) key(depth int, flags uint8) {
	if depth == 0 {
		p.addf("\x1b[=%d;1u", flags)
		return
	}
	p.addf("\x1b[>%du", flags)
}

func (p *painter) tabs() {
	p.add("\x1b[3g")
	p.private(6, false)
	for x, stop := range p.t.tabs {
		if stop {
			p.addf("\x1b[1;%dH\x1bH", x+1)
		}
	}
}

// strings sets titles, working directory and colours.
func (p *painter) strings() {
	t := &p.t.titles
	p.add(strings.Repeat("\x1b[23t", maxTitles))
	for _, s := range t.windows {
		p.osc(2, s)
		p.add("\x1b[22;2t")
	}
	for _, s := range t.icons {
		p.osc(1, s)
		p.add("\x1b[22;1t")
	}
	p.osc(2, t.window)
	p.osc(1, t.icon)
	p.osc(7, p.t.cwd)
	p.add("\x1b]104\x1b\\")
	changed := make([]uint8, 0, len(p.t.palette.indexed))
	for i := range p.t.palette.indexed {
		changed = append(changed, i)
	}
	slices.Sort(changed)
	for _, i := range changed {
		p.addf("\x1b]4;%d;%s\x1b\\", i, spec(p.t.palette.indexed[i]))
	}
	for i, c := range p.t.palette.special {
		if c == 0 {
			p.addf("\x1b]%d\x1b\\", 110+i)
		} else {
			p.osc(10+i, spec(c))
		}
	}
}

// modes sets all modes except insert and origin, which cursor sets.
func (p *painter) modes() {
	m := p.t.modes
	for _, mode := range []int{1, 5, 7, 12, 1004, 1007, 2004, 2031, 2048} {
		p.private(mode, *m.flag(mode))
	}
	p.addf("\x1b[20%c", onOff(m.Newline))
	p.add(map[bool]string{true: "\x1b=", false: "\x1b>"}[m.Keypad])
	p.mouse(m.Mouse, 9, 1000, 1002, 1003)
	p.mouse(m.MouseFormat, 1005, 1006, 1015, 1016)
	p.addf("\x1b[%d q", m.CursorStyle)
	p.addf("\x1b[>4;%dm", m.OtherKeys)
	p.private(25, m.CursorVisible)
}

// mouse sets one of several modes that exclude each other, or none if is is 0.
func (p *painter) mouse(is int, all ...int) {
	for _, mode := range all {
		p.private(mode, false)
	}
	if is != 0 {
		p.private(is, true)
	}
}

// cursor sets the state on which the next character depends. If printing a character
// was the last operation here, it must be the last one there too: REP repeats it, and
// in the last column the next character wraps.
func (p *painter) cursor() {
	t, s := p.t, p.t.active
	y := s.y
	if t.modes.Origin {
		p.private(6, true)
		y -= s.top
	}
	again := s.x >= t.cols || t.printed > 0
	if !again {
		p.insert()
		p.moveTo(s.x, y)
		p.charsets(t.charsets)
		p.setStyle(t.pen)
		return
	}
	x := s.x - 1
	if s.line(s.y).at(x).half() == spacer {
		x--
	}
	c := s.line(s.y).at(x)
	if t.printed > 0 {
		p.insert()
		p.moveTo(x, y)
		if t.modes.Insert {
			p.addf("\x1b[%dP", s.x-x)
		}
		p.charsets(t.charsets)
		p.cell(c)
		return
	}
	p.moveTo(x, y)
	p.charsets(charsets{})
	p.cell(c)
	p.charsets(t.charsets)
	p.setStyle(t.pen)
	p.insert()
}

func (p *painter) insert() { p.addf("\x1b[4%c", onOff(p.t.modes.Insert)) }
