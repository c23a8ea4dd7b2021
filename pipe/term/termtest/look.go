package termtest

import (
	"fmt"
	"strings"

	"mesh/pipe/term/draw"
	"mesh/pipe/term/vt"
)

// Look returns the visible state of a terminal.
func Look(t *vt.Terminal) string {
	var b strings.Builder
	_, rows := t.Size()
	for y := range rows {
		rest := "-"
		for _, c := range t.Line(y) {
			s := c.Style
			s.Link, s.LinkID = "", ""
			s.Attr &^= vt.Protected
			if s.Underline == vt.NoUnderline {
				s.LineColor = 0
			}
			text := draw.Clean(c)
			if c.Width == 0 {
				text = rest
			}
			rest = "-" // the right half of a wide character
			if text == "\ufffd" {
				rest = " "
			}
			if s == (vt.Style{}) {
				fmt.Fprintf(&b, "%s", text)
			} else {
				fmt.Fprintf(&b, "{%s %v}", text, s)
			}
		}
		b.WriteByte('\n')
	}
	c := t.Cursor()
	if c.Visible {
		fmt.Fprintf(&b, "cursor %d %d ", c.Row, c.Col)
	}
	fmt.Fprintf(&b, "visible %v style %d color %v", c.Visible, c.Style, c.Color)
	return b.String()
}
