package view

import (
	"strconv"

	"mesh/pipe/term/vt"
)

// attributes are the SGR parameters of the attributes that can be seen.
var attributes = []struct {
	attr vt.Attr
	sgr  string
}{
	{vt.Bold, ";1"},
	{vt.Dim, ";2"},
	{vt.Italic, ";3"},
	{vt.Blink, ";5"},
	{vt.Inverse, ";7"},
	{vt.Hidden, ";8"},
	{vt.Strike, ";9"},
	{vt.Overline, ";53"},
}

// underlines are those of the underlines.
var underlines = []string{"", ";4", ";21", ";4:3", ";4:4", ";4:5"}

// appendSGR appends what sets the style but its link, whatever was set before.
func appendSGR(dst []byte, s vt.Style) []byte {
	dst = append(dst, "\x1b[0"...)
	for _, a := range attributes {
		if s.Attr&a.attr != 0 {
			dst = append(dst, a.sgr...)
		}
	}
	if int(s.Underline) < len(underlines) {
		dst = append(dst, underlines[s.Underline]...)
	}
	dst = appendColor(dst, s.Fg, 30)
	dst = appendColor(dst, s.Bg, 40)
	if s.Underline != vt.NoUnderline {
		dst = appendLineColor(dst, s.LineColor)
	}
	return append(dst, 'm')
}

// appendColor appends a colour; base is 30 for the text, 40 for what is behind it.
func appendColor(dst []byte, c vt.Color, base int) []byte {
	if i, ok := c.Index(); ok {
		switch {
		case i < 8:
			return appendParams(dst, base+int(i))
		case i < 16:
			return appendParams(dst, base+60+int(i)-8)
		}
		return appendParams(dst, base+8, 5, int(i))
	}
	if r, g, b, ok := c.RGB(); ok {
		return appendParams(dst, base+8, 2, int(r), int(g), int(b))
	}
	return dst
}

// appendLineColor appends the underline's colour in the form with colons, which a
// terminal that doesn't know it skips whole.
func appendLineColor(dst []byte, c vt.Color) []byte {
	if i, ok := c.Index(); ok {
		dst = append(dst, ";58:5:"...)
		return strconv.AppendInt(dst, int64(i), 10)
	}
	if r, g, b, ok := c.RGB(); ok {
		dst = append(dst, ";58:2:"...)
		for _, v := range []uint8{r, g, b} {
			dst = append(dst, ':')
			dst = strconv.AppendInt(dst, int64(v), 10)
		}
	}
	return dst
}

func appendParams(dst []byte, params ...int) []byte {
	for _, p := range params {
		dst = append(dst, ';')
		dst = strconv.AppendInt(dst, int64(p), 10)
	}
	return dst
}
