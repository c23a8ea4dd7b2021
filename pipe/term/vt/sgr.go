package vt

import "strconv"

// selectGraphics implements SGR: it changes the style of what is printed next.
func (t *Terminal) selectGraphics() {
	p := &t.pen
	t.penKnown = false
	v := t.values()
	for i := 0; i < len(v); i++ {
		if t.subs>>i&1 == 1 {
			continue // a subparameter of a parameter that has none
		}
		switch n := v[i]; n {
		case 38, 48, 58:
			used, c, ok := t.colorAt(i)
			i += used
			if !ok {
				continue
			}
			switch n {
			case 38:
				p.fg = c
			case 48:
				p.bg = c
			default:
				p.line = c
			}
		case 4:
			p.underline = SingleUnderline
			if i+1 < len(v) && t.subs>>(i+1)&1 == 1 {
				if u := v[i+1]; u >= 0 && u <= int32(DashedUnderline) {
					p.underline = Underline(u)
				}
			}
		default:
			p.apply(n)
		}
	}
}

// apply changes the style by a parameter of SGR that stands alone.
func (p *style) apply(n int32) {
	switch {
	case n <= 0:
		*p = style{link: p.link, attr: p.attr & Protected}
	case n <= 9 && setAttrs[n] != 0:
		p.attr |= setAttrs[n]
	case n == 21:
		p.underline = DoubleUnderline
	case n == 24:
		p.underline = NoUnderline
	case n >= 22 && n <= 29:
		p.attr &^= clearAttrs[n-22]
	case n >= 30 && n <= 37:
		p.fg = Indexed(uint8(n - 30))
	case n == 39:
		p.fg = 0
	case n >= 40 && n <= 47:
		p.bg = Indexed(uint8(n - 40))
	case n == 49:
		p.bg = 0
	case n == 53:
		p.attr |= Overline
	case n == 55:
		p.attr &^= Overline
	case n == 59:
		p.line = 0
	case n >= 90 && n <= 97:
		p.fg = Indexed(uint8(n - 90 + 8))
	case n >= 100 && n <= 107:
		p.bg = Indexed(uint8(n - 100 + 8))
	}
}

var setAttrs = [10]Attr{1: Bold, 2: Dim, 3: Italic, 5: Blink, 7: Inverse, 8: Hidden, 9: Strike}

// clearAttrs is the attributes that SGR 22 to 29 remove.
var clearAttrs = [8]Attr{0: Bold | Dim, 1: Italic, 3: Blink, 5: Inverse, 6: Hidden, 7: Strike}

// colorAt reads the colour after parameter i, which is 38, 48 or 58: both
// 38;2;R;G;B and 38:2:[space]:R:G:B, 38;5;N and 38:5:N, and mixtures. It returns
// how many of the following parameters belong to the colour.
func (t *Terminal) colorAt(i int) (used int, c Color, ok bool) {
	v := t.values()
	colons := 0
	for j := i + 1; j < len(v) && t.subs>>j&1 == 1; j++ {
		colons++
	}
	if colons > 0 {
		c, ok = colorOf(v[i+1:i+1+colons], true)
		return colons, c, ok
	}
	if i+1 >= len(v) {
		return 0, 0, false
	}
	need := 1
	switch v[i+1] {
	case 2:
		need = 4
	case 5:
		need = 2
	}
	rest := v[i+1 : min(i+1+need, len(v))]
	c, ok = colorOf(rest, false)
	return len(rest), c, ok
}

// colorOf returns the colour with the given parts. If space is set, a colour space
// may stand before red.
func colorOf(v []int32, space bool) (Color, bool) {
	part := func(i int) uint8 {
		if i < len(v) && v[i] > 0 {
			return uint8(v[i])
		}
		return 0
	}
	switch v[0] {
	case 2:
		first := 1
		if space && len(v) > 4 {
			first = 2
		}
		return RGB(part(first), part(first+1), part(first+2)), true
	case 5:
		return Indexed(part(1)), true
	}
	return 0, false
}

// AppendSGR appends the parameters of an SGR sequence that sets s, whatever was set
// before. It does not set the link.
func (s Style) AppendSGR(dst []byte) []byte {
	dst = append(dst, '0')
	for i, attr := range setAttrs {
		if attr != 0 && s.Attr&attr != 0 {
			dst = appendParams(dst, i)
		}
	}
	switch s.Underline {
	case NoUnderline:
	case SingleUnderline:
		dst = append(dst, ";4"...)
	default:
		dst = strconv.AppendInt(append(dst, ";4:"...), int64(s.Underline), 10)
	}
	if s.Attr&Overline != 0 {
		dst = append(dst, ";53"...)
	}
	dst = s.Fg.appendSGR(dst, 30)
	dst = s.Bg.appendSGR(dst, 40)
	return s.LineColor.appendLineColor(dst)
}

// appendSGR appends what [Style.AppendSGR] does.
func (p style) appendSGR(dst []byte) []byte {
	return Style{Fg: p.fg, Bg: p.bg, LineColor: p.line, Attr: p.attr, Underline: p.underline}.AppendSGR(dst)
}

// appendSGR appends the parameters of a colour; base is 30 for the text, 40 for the
// background.
func (c Color) appendSGR(dst []byte, base int) []byte {
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

// appendLineColor appends an underline's colour in the form with colons: a terminal
// that does not know the parameter skips it with its subparameters.
func (c Color) appendLineColor(dst []byte) []byte {
	if i, ok := c.Index(); ok {
		return strconv.AppendInt(append(dst, ";58:5:"...), int64(i), 10)
	}
	if r, g, b, ok := c.RGB(); ok {
		dst = append(dst, ";58:2:"...)
		for _, v := range []uint8{r, g, b} {
			dst = strconv.AppendInt(append(dst, ':'), int64(v), 10)
		}
	}
	return dst
}

func appendParams(dst []byte, params ...int) []byte {
	for _, p := range params {
		dst = strconv.AppendInt(append(dst, ';'), int64(p), 10)
	}
	return dst
}
