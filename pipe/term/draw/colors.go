package draw

import (
	"strings"

	"mesh/pipe/term/vt"
)

// colors is which colours a terminal can show.
type colors int

// The sets of colours, the largest one first.
const (
	allColors colors = iota
	colors256
	colors16
)

// colorsOf returns the colours of a terminal with these values of TERM and COLORTERM.
func colorsOf(term, colorTerm string) colors {
	is := func(prefixes ...string) bool {
		for _, p := range prefixes {
			if strings.HasPrefix(term, p) {
				return true
			}
		}
		return false
	}
	switch {
	case is("screen"): // the variable COLORTERM is that of the terminal around it
		return colors256
	case colorTerm == "truecolor" || colorTerm == "24bit":
		return allColors
	case strings.HasSuffix(term, "-direct"), is("tmux", "alacritty", "foot", "wezterm", "contour"):
		return allColors
	case strings.HasSuffix(term, "-256color"), term == "xterm": // all that call themselves xterm know 256
		return colors256
	case strings.HasSuffix(term, "-16color"), strings.HasSuffix(term, "-88color"), strings.HasSuffix(term, "-color"):
		return colors16
	case is("linux", "vt1", "vt2", "vt3", "ansi", "cons25", "pcansi", "wsvt25"), term == "rxvt":
		return colors16
	}
	return allColors
}

// fit returns the style with the nearest colours that the terminal has.
func (c colors) fit(s vt.Style) vt.Style {
	if c == allColors {
		return s
	}
	fg, bg := c.nearest(s.Fg), c.nearest(s.Bg)
	if i, ok := fg.Index(); ok && fg == bg && s.Fg != s.Bg && i < 16 {
		fg = vt.Indexed(i ^ 8) // the text stays legible
	}
	s.Fg, s.Bg, s.LineColor = fg, bg, c.nearest(s.LineColor)
	return s
}

// nearest returns the nearest colour that the terminal has. Of 256 colours it takes none
// of the first 16, which people change most.
func (c colors) nearest(color vt.Color) vt.Color {
	if i, ok := color.Index(); ok && (c == colors256 || i < 16) {
		return color
	}
	r, g, b, ok := color.Value()
	if !ok {
		return color
	}
	first, last := 16, 255
	if c == colors16 {
		first, last = 0, 15
	}
	best, least := first, 1<<30
	for i := first; i <= last; i++ {
		if d := distance(vt.Indexed(uint8(i)), r, g, b); d < least {
			best, least = i, d
		}
	}
	return vt.Indexed(uint8(best))
}

// distance returns how far a colour is from the one with these parts, squared.
func distance(c vt.Color, r, g, b uint8) int {
	cr, cg, cb, _ := c.Value()
	dr, dg, db := int(cr)-int(r), int(cg)-int(g), int(cb)-int(b)
	return dr*dr + dg*dg + db*db
}
