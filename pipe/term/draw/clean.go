package draw

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"mesh/pipe/term/vt"
)

// Clean returns the printable part of a cell's text, or U+FFFD if its width is not
// the cell's. Nothing in it changes how a terminal shows what follows: there are no
// control characters, bidi controls or tags.
func Clean(c vt.Cell) string {
	if len(c.Text) == 1 && c.Text[0] >= ' ' && c.Text[0] < 0x7f {
		return c.Text
	}
	if c.Width == 0 {
		return ""
	}
	text := strings.Map(printable, c.Text)
	if widthOf(text) == c.Width && vt.Width(firstRune(text)) > 0 {
		return text
	}
	return "\ufffd"
}

// Text returns the text of a line without the blanks at its end.
func Text(line []vt.Cell) string {
	var b strings.Builder
	for _, c := range line {
		b.WriteString(Clean(c))
	}
	return strings.TrimRight(b.String(), " ")
}

// printable maps a character to itself, to U+FFFD, or to -1: then it is left out.
func printable(r rune) rune {
	switch {
	case r == '\u200d' || r == '\ufe0e' || r == '\ufe0f': // these join emoji, and choose their form
		return r
	case unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r):
		return -1
	case unicode.IsPrint(r) || unicode.Is(unicode.Co, r): // fonts have symbols in the private areas
		return r
	case unicode.Is(unicode.Zs, r):
		return ' '
	case vt.Width(r) == 0:
		return -1
	}
	return utf8.RuneError // control characters, line ends, surrogates, unassigned characters
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

// widthOf returns how many columns a text takes.
func widthOf(s string) int {
	n := 0
	for _, r := range s {
		n += vt.Width(r)
	}
	return n
}

// widthIsAgreed reports whether all terminals agree on the width of a text that
// [Clean] has returned.
func widthIsAgreed(s string) bool {
	if len(s) == 1 {
		return true
	}
	r, n := utf8.DecodeRuneInString(s)
	if n != len(s) {
		return false
	}
	switch {
	case r >= 0xa0 && r < 0x300 && r != 0xad:
		return true
	case r >= 0x370 && r < 0x483: // Greek, Cyrillic
		return true
	case r >= 0x2010 && r < 0x2028, r >= 0x2500 && r < 0x25a0: // dashes and quotes; boxes and blocks
		return true
	case r >= 0x3041 && r < 0x3097, r >= 0x30a1 && r < 0x30fb: // Kana
		return true
	case r >= 0x4e00 && r < 0x9ff0, r >= 0xac00 && r < 0xd7a4: // Han, Hangul
		return true
	}
	return false
}

// cellsOf returns a line of text in one style, cut or padded to cols columns.
func cellsOf(text string, style vt.Style, cols int) []vt.Cell {
	line := make([]vt.Cell, 0, cols)
	for _, r := range text {
		r = printable(r)
		w := vt.Width(r)
		if r < 0 || w == 0 {
			continue
		}
		if len(line)+w > cols {
			break
		}
		line = append(line, vt.Cell{Text: string(r), Width: w, Style: style})
		if w == 2 {
			line = append(line, vt.Cell{Style: style})
		}
	}
	for len(line) < cols {
		line = append(line, vt.Cell{Text: " ", Width: 1, Style: style})
	}
	return line
}
