package vt

import "fmt"

// graphics is SGR: how what is printed next looks.
func (t *Terminal) graphics() {
	p := &t.pen
	t.penKnown = false
	v := t.values()
	for i := 0; i < len(v); i++ {
		if t.subs>>i&1 == 1 {
			continue // stood after a colon of something that takes none
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

// apply takes a parameter of SGR that stands alone.
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

// clearAttrs is what SGR 22 to 29 take away.
var clearAttrs = [8]Attr{0: Bold | Dim, 1: Italic, 3: Blink, 5: Inverse, 6: Hidden, 7: Strike}

// colorAt reads the colour after parameter i, which is 38, 48 or 58: both
// 38;2;R;G;B and 38:2:[space]:R:G:B, 38;5;N and 38:5:N, and mixtures. It returns
// how many of the following parameters it took.
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

// colorOf makes a colour of its parts. With colons a colour space may stand
// before red.
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

// appendSGR appends parameters of SGR that make this style from any.
func (p style) appendSGR(b []byte) []byte {
	b = append(b, '0')
	for i, attr := range setAttrs {
		if attr != 0 && p.attr&attr != 0 {
			b = fmt.Appendf(b, ";%d", i)
		}
	}
	switch p.underline {
	case NoUnderline:
	case SingleUnderline:
		b = append(b, ";4"...)
	default:
		b = fmt.Appendf(b, ";4:%d", p.underline)
	}
	if p.attr&Overline != 0 {
		b = append(b, ";53"...)
	}
	b = p.fg.appendSGR(b, 30, 90, 38)
	b = p.bg.appendSGR(b, 40, 100, 48)
	if i, ok := p.line.Index(); ok {
		b = fmt.Appendf(b, ";58:5:%d", i)
	} else if r, g, bl, ok := p.line.RGB(); ok {
		b = fmt.Appendf(b, ";58:2::%d:%d:%d", r, g, bl)
	}
	return b
}

// appendSGR appends parameters for a colour: dark is the first of the eight dark
// ones, bright of the bright ones, long starts any other.
func (c Color) appendSGR(b []byte, dark, bright, long int) []byte {
	if i, ok := c.Index(); ok {
		switch {
		case i < 8:
			return fmt.Appendf(b, ";%d", dark+int(i))
		case i < 16:
			return fmt.Appendf(b, ";%d", bright+int(i)-8)
		}
		return fmt.Appendf(b, ";%d;5;%d", long, i)
	}
	if r, g, bl, ok := c.RGB(); ok {
		return fmt.Appendf(b, ";%d;2;%d;%d;%d", long, r, g, bl)
	}
	return b
}
