package view

import (
	"strings"

	"mesh/pipe/term/console"
	"mesh/pipe/term/vt"
)

// DrawingEnter and DrawingLeave are for the [console.Console] that is drawn on.
const (
	DrawingEnter = console.Alternate +
		"\x1b[?7l" + // a character that is wider than thought wraps nothing
		"\x1b[>0u" // what kitty's protocol has on here is on again in the end, by Reset
	DrawingLeave = console.Reset + console.Main
)

// Drawing draws a terminal of ours on the person's, of whatever size that is, as
// [Screen] draws a peer's for who may type.
type Drawing struct {
	window  window
	painter painter
}

// NewDrawing returns a drawing on a terminal of that kind, as TERM has it.
func NewDrawing(term string) *Drawing {
	d := new(Drawing)
	d.painter.noErase = eraseIsPlain(term)
	return d
}

// eraseIsPlain reports whether what is erased does not get the colour behind it: in
// GNU screen, as it is set up by default.
func eraseIsPlain(term string) bool { return strings.HasPrefix(term, "screen") }

// Forget has the next picture drawn whole.
func (d *Drawing) Forget() { d.painter.forget() }

// Draw returns what makes a terminal of cols by rows show t, and encode keys as t
// wants them; good until the next call. Where t leaves room, status is below it.
func (d *Drawing) Draw(t *vt.Terminal, cols, rows int, status string) []byte {
	d.window.cols, d.window.rows, d.window.status = cols, rows, status
	p := d.window.picture(t, true)
	m := t.Modes()
	p.modes.paste, p.modes.kitty = m.Paste, m.Kitty // nobody looks for commands among the keys
	return d.painter.paint(p)
}
