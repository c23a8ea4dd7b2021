package draw

import "mesh/pipe/term/vt"

// appendStyle appends the SGR sequence that sets a style, whatever was set before.
func appendStyle(dst []byte, s vt.Style) []byte {
	double := s.Underline == vt.DoubleUnderline
	if double { // written as SGR 21, which more terminals know than 4:2
		s.Underline = vt.NoUnderline
	} else if s.Underline == vt.NoUnderline {
		s.LineColor = 0
	}
	dst = s.AppendSGR(append(dst, "\x1b["...))
	if double {
		dst = append(dst, ";21"...)
	}
	return append(dst, 'm')
}
