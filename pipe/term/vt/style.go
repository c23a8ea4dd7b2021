package vt

// A Color is made by [Indexed] or [RGB], or 0: the default colour.
type Color uint32

const (
	indexed Color = 1 << 24
	direct  Color = 2 << 24
)

// Indexed returns colour i of the palette of 256.
func Indexed(i uint8) Color { return indexed | Color(i) }

// RGB returns the colour with the given parts.
func RGB(r, g, b uint8) Color { return direct | Color(r)<<16 | Color(g)<<8 | Color(b) }

// Index returns the colour's number in the palette, if it was made by Indexed.
func (c Color) Index() (i uint8, ok bool) { return uint8(c), c>>24 == indexed>>24 }

// RGB returns the colour's parts, if it was made by them.
func (c Color) RGB() (r, g, b uint8, ok bool) {
	return uint8(c >> 16), uint8(c >> 8), uint8(c), c>>24 == direct>>24
}

// An Attr is a set of character attributes.
type Attr uint16

// The attributes. Protected is invisible: selective erase (DECSED, DECSEL) spares
// such a cell.
const (
	Bold Attr = 1 << iota
	Dim
	Italic
	Blink
	Inverse
	Hidden
	Strike
	Overline
	Protected
)

// An Underline is how a character is underlined, numbered as in SGR 4:n.
type Underline uint8

// The underlines.
const (
	NoUnderline Underline = iota
	SingleUnderline
	DoubleUnderline
	CurlyUnderline
	DottedUnderline
	DashedUnderline
)

// A Style is how a cell is drawn. The zero value is plain.
type Style struct {
	Fg, Bg    Color
	LineColor Color // of the underline; 0 is that of the text
	Attr      Attr
	Underline Underline
	Link      string // an address (OSC 8), from the program; no control characters
	LinkID    string // groups the cells of one link; may be empty
}

// style is a Style as cells share it. link is a number in Terminal.links.
type style struct {
	fg, bg, line Color
	attr         Attr
	underline    Underline
	link         uint32
}

func (t *Terminal) exportStyle(s style) Style {
	id, link := splitLink(t.links.values[s.link])
	return Style{
		Fg: s.fg, Bg: s.bg, LineColor: s.line, Attr: s.attr, Underline: s.underline,
		Link: link, LinkID: id,
	}
}

// penNumber returns the pen's number in styles.
func (t *Terminal) penNumber() uint32 {
	if !t.penKnown {
		t.penID = t.styleNumber(t.pen)
		t.penKnown = true
	}
	return t.penID
}

// erased returns the cell that erasing leaves: blank, with the pen's background.
func (t *Terminal) erased() cell {
	if t.pen.bg == 0 {
		return cell{}
	}
	return cell{attr: t.styleNumber(style{bg: t.pen.bg}) << 2}
}

// sweep drops styles, cluster texts and links that no cell has, so that a program
// that keeps making new ones cannot use more memory than the cells justify.
func (t *Terminal) sweep() {
	styles := make([]bool, len(t.styles.values))
	clusters := make([]bool, len(t.clusters.values))
	cells := 0
	t.eachRow(func(r *row) {
		cells += r.used
		for _, c := range r.cells[:r.used] {
			styles[c.style()] = true
			if c.text&cluster != 0 {
				clusters[c.text&^cluster] = true
			}
		}
	})
	newStyles, newClusters := t.styles.compact(styles, cells), t.clusters.compact(clusters, cells)
	t.eachRow(func(r *row) {
		for i, c := range r.cells[:r.used] {
			c.attr = newStyles[c.style()]<<2 | c.half()
			if c.text&cluster != 0 {
				c.text = cluster | newClusters[c.text&^cluster]
			}
			r.cells[i] = c
		}
	})
	t.penKnown = false
	t.sweepLinks()
}

// sweepLinks drops links that no style has. The styles must have been swept before.
func (t *Terminal) sweepLinks() {
	pens := []*style{&t.pen, &t.main.saved.pen, &t.alt.saved.pen}
	used := make([]bool, len(t.links.values))
	for _, s := range t.styles.values {
		used[s.link] = true
	}
	for _, p := range pens {
		used[p.link] = true
	}
	renumbered := t.links.compact(used, 0)
	t.linkBytes = 0
	for _, l := range t.links.values {
		t.linkBytes += len(l) + linkOverhead
	}
	for _, p := range pens {
		p.link = renumbered[p.link]
	}
	t.styles.numbers = make(map[style]uint32, len(t.styles.values))
	for i := range t.styles.values {
		s := &t.styles.values[i]
		s.link = renumbered[s.link]
		t.styles.numbers[*s] = uint32(i)
	}
}

func (t *Terminal) eachRow(f func(*row)) {
	for _, s := range []*screen{t.main, t.alt} {
		for i := range s.lines {
			f(&s.lines[i])
		}
		for i := range s.history {
			f(&s.history[i])
		}
	}
}
