package vt

import "fmt"

// appendSGR appends parameters of SGR that make this style from any.
func (s style) appendSGR(b []byte) []byte {
	b = append(b, '0')
	for i, attr := range setAttrs {
		if attr != 0 && s.attr&attr != 0 {
			b = fmt.Appendf(b, ";%d", i)
		}
	}
	switch s.underline {
	case NoUnderline:
	case SingleUnderline:
		b = append(b, ";4"...)
	default:
		b = fmt.Appendf(b, ";4:%d", s.underline)
	}
	if s.attr&Overline != 0 {
		b = append(b, ";53"...)
	}
	b = s.fg.appendSGR(b, 30, 90, 38)
	b = s.bg.appendSGR(b, 40, 100, 48)
	if i, ok := s.line.Index(); ok {
		b = fmt.Appendf(b, ";58:5:%d", i)
	} else if r, g, bl, ok := s.line.RGB(); ok {
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

// sgr is the parameters of SGR that make s.
func (t *Terminal) sgr(s style) string { return string(s.appendSGR(nil)) }
