// Package qr draws QR codes (ISO/IEC 18004) as text: each character is two modules, one
// over the other.
package qr

import (
	"strings"

	"rsc.io/qr"
)

// quiet is how many light modules are around a code, as the standard wants.
const quiet = 4

// Code is a QR code.
type Code struct{ code *qr.Code }

// New returns the smallest code of text with the lowest level of error correction, which a
// screen does not need. Text of upper-case letters, digits and " $%*+-./:" needs some 40 %
// less room than other text. It fails if text is longer than a code can hold: some 4,000
// such characters, 2,900 bytes otherwise.
func New(text string) (Code, error) {
	c, err := qr.Encode(text, qr.L)
	return Code{c}, err
}

// Size returns how many columns and rows the text of the code has.
func (c Code) Size() (cols, rows int) {
	side := c.code.Size + 2*quiet
	return side, (side + 1) / 2
}

// Text returns the code as lines of half blocks. With colors they are black on white; without,
// light modules have the colour of the text, which is right on a dark screen.
func (c Code) Text(colors bool) string {
	blocks := [4]string{"█", "▀", "▄", " "} // light, upper light, lower light, dark
	begin, end := "", "\n"
	if colors {
		blocks = [4]string{" ", "▄", "▀", "█"}
		begin, end = "\x1b[30;47m", "\x1b[0m\n"
	}
	var b strings.Builder
	cols, rows := c.Size()
	for row := range rows {
		b.WriteString(begin)
		for col := range cols {
			i := 0
			if c.code.Black(col-quiet, 2*row-quiet) {
				i = 2
			}
			if c.code.Black(col-quiet, 2*row+1-quiet) {
				i++
			}
			b.WriteString(blocks[i])
		}
		b.WriteString(end)
	}
	return b.String()
}
