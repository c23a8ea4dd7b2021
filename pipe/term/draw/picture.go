// Package draw makes a person's terminal show a terminal of package vt.
//
// A [Window] chooses the part of the shared terminal that is shown, and composes a
// [Picture] of it. A [Painter] writes the bytes that turn one picture into the next.
// Of what the shared programs wrote, only text, styles, the cursor, checked links
// and the title reach the person's terminal: everything is drawn from the
// emulator's cells, and nothing is passed through.
package draw

import "mesh/pipe/term/vt"

// Setup prepares a terminal whose alternate screen is on for a [Painter]: a
// character that is wider than expected does not wrap, and the kitty keyboard flags
// are pushed, for console.Reset to restore.
const Setup = "\x1b[?7l\x1b[>0u"

// ResetCursorColor gives a terminal's cursor its own colour back.
const ResetCursorColor = "\x1b]112\a"

// Picture is what a person's terminal shows.
type Picture struct {
	// Title is the terminal's title; "" leaves it alone.
	Title string

	cols, rows int
	cells      []vt.Cell // rows lines of cols
	cursor     vt.Cursor
	modes      keyModes
}

func newPicture(cols, rows int) *Picture {
	p := &Picture{cols: cols, rows: rows, cells: make([]vt.Cell, cols*rows)}
	for i := range p.cells {
		p.cells[i] = blank
	}
	return p
}

var blank = vt.Cell{Text: " ", Width: 1}

func (p *Picture) line(y int) []vt.Cell { return p.cells[y*p.cols : (y+1)*p.cols] }
