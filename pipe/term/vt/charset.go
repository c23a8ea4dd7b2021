package vt

// A charset is a set of graphic characters that a program designates by one letter.
type charset byte

// The sets that programs still use: ASCII, line drawing and the British pound. All
// others are treated as ASCII.
const (
	ascii7  charset = 0
	drawing charset = '0'
	british charset = 'A'
)

// charsets is the sets designated as G0 to G3, and which of them is shifted into GL.
type charsets struct {
	g  [4]charset
	gl uint8
}

// plain reports whether printable ASCII means itself.
func (c *charsets) plain() bool { return c.g[c.gl] == ascii7 }

// designate makes the set with this letter G0, G1, G2 or G3, by g.
func (c *charsets) designate(g int, letter byte) {
	set := charset(letter)
	if set != drawing && set != british {
		set = ascii7
	}
	c.g[g] = set
}

// translate returns the character that a byte of printable ASCII means.
func (c *charsets) translate(b byte) rune {
	switch set := c.g[c.gl]; {
	case set == drawing && b >= '`' && b <= '~':
		return drawn[b-'`']
	case set == british && b == '#':
		return '£'
	}
	return rune(b)
}

// drawn is the DEC special graphics set from ` to ~.
var drawn = [...]rune{
	'◆', '▒', '␉', '␌', '␍', '␊', '°', '±', '␤', '␋', '┘', '┐', '┌', '└', '┼', '⎺',
	'⎻', '─', '⎼', '⎽', '├', '┤', '┴', '┬', '│', '≤', '≥', 'π', '≠', '£', '·',
}
