// Package vt is a terminal emulator without a display: it interprets the bytes that a
// program writes to its terminal and holds what a terminal would show.
//
// A sharer feeds it all output of the pty. A viewer that joins late gets a
// [Terminal.Snapshot], bytes that make any other terminal show the same. A viewer
// feeds it the bytes that arrive and draws from it, so that no byte that a program
// wrote reaches the viewer's own terminal.
//
// The parser is Paul Williams' state machine for the VT500
// (https://vt100.net/emu/dec_ansi_parser) over UTF-8. The sequences have the effect
// that they have in xterm, as far as xterm.js implements it; testdata/README.md lists
// the intended differences. A character is a code point with the zero-width ones
// after it; see [Width].
//
// Whatever the bytes are, memory is bounded by the size and the scrollback, and time
// by the number of bytes.
package vt

import "unicode/utf8"

// Limits of a terminal's size, in cells. xterm.js has the same lower ones.
const (
	MinCols = 2
	MinRows = 1
	MaxCols = 1000
	MaxRows = 1000
)

// MaxScrollback is the longest history a terminal keeps, in lines.
const MaxScrollback = 100_000

// A Terminal is the state of a terminal: what it shows and its modes. It is not safe
// for concurrent use.
type Terminal struct {
	// Answer is called with the replies to the program's queries (device attributes,
	// cursor position and the like), to be written to its standard input. nil drops
	// them. It is called from inside Write and must not call back. One Write causes at
	// most [MaxAnswerBytes].
	Answer func([]byte)

	// Copy is called with text that the program puts into a clipboard (OSC 52), and with
	// the letters of the selections: c (clipboard), p (primary) and s (select), each at
	// most once. It gets valid UTF-8 of at most [MaxCopyBytes] without control characters
	// but tabs and ends of lines. nil ignores the text. No program can read a clipboard.
	// Copy is called from inside Write and must not call back.
	Copy func(selections, text string)

	parser

	cols, rows int
	main, alt  *screen
	active     *screen

	pen      style
	penID    uint32 // the pen's number in styles, if penKnown
	penKnown bool
	charsets charsets
	modes    Modes
	tabs     []bool

	styles   interned[style]
	clusters interned[string]
	links    interned[string]

	linkBytes    int // the memory of links
	linksRefused int

	memory   memory
	titles   titles
	cwd      string // from OSC 7, a URL; for snapshots
	palette  palette
	answered int // bytes answered during this Write
}

// New returns an empty terminal of cols by rows cells with a history of at most
// scrollback lines. Sizes out of bounds are reduced or raised to the bound.
func New(cols, rows, scrollback int) *Terminal {
	t := &Terminal{
		cols: min(max(cols, MinCols), MaxCols),
		rows: min(max(rows, MinRows), MaxRows),
	}
	t.styles.init(style{}, styleSize)
	t.clusters.init("", clusterSize)
	t.links.init("", clusterSize)
	t.main = newScreen(t.cols, t.rows, min(max(scrollback, 0), MaxScrollback))
	t.alt = newScreen(t.cols, t.rows, 0)
	t.active = t.main
	t.modes = defaultModes()
	t.tabs = defaultTabs(nil, t.cols)
	return t
}

// Write interprets output of a program: any bytes, cut anywhere. It never fails.
func (t *Terminal) Write(p []byte) (int, error) {
	t.answered = 0
	for rest := p; len(rest) > 0; {
		if t.styles.full() || t.clusters.full() {
			t.sweep()
		}
		if t.memory.refused > t.memory.next {
			t.makeRoom()
		}
		switch {
		case t.partialLen > 0:
			rest = t.completeRune(rest)
		case t.state == ground:
			rest = t.ground(rest)
		case t.state >= oscString:
			rest = t.stringBytes(rest)
		case rest[0] < utf8.RuneSelf:
			t.step(rest[0])
			rest = rest[1:]
		default:
			rest = t.nonASCII(rest)
		}
	}
	return len(p), nil
}

// Size returns the size in cells.
func (t *Terminal) Size() (cols, rows int) { return t.cols, t.rows }

// A Cursor is the place of the next character and how it is marked.
type Cursor struct {
	Row, Col int // from 0, always on the screen
	Visible  bool
	// Wrap is set when the last column was just written: the next character goes to
	// the next line, if the mode Wrap is on.
	Wrap  bool
	Style int   // as in DECSCUSR: 0 default, 1 2 block, 3 4 underline, 5 6 bar; odd ones blink
	Color Color // that the program has set (OSC 12); 0 is the terminal's own
}

// Cursor returns the cursor.
func (t *Terminal) Cursor() Cursor {
	s := t.active
	return Cursor{
		Row: s.y, Col: min(s.x, t.cols-1),
		Visible: t.modes.CursorVisible, Wrap: s.x >= t.cols, Style: t.modes.CursorStyle,
		Color: t.palette.special[2],
	}
}

// Modes returns the terminal's modes.
func (t *Terminal) Modes() Modes {
	m := t.modes
	m.AltScreen = t.active == t.alt
	m.Kitty = t.active.keys.flags()
	return m
}

// Title returns the window's title. It comes from the program; it has no control
// characters.
func (t *Terminal) Title() string { return t.titles.window }
