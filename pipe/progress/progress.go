// Package progress draws the one line that says how far a transfer is, for
// people at a terminal.
package progress

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Every is how often the line is worth drawing.
const Every = 200 * time.Millisecond

// Line is a progress line of unknown length: bytes, rate, time. Nothing is drawn
// before the first Set.
type Line struct {
	w   io.Writer
	bar *progressbar.ProgressBar // nil while nothing is drawn
}

// New returns a line on w, a terminal.
func New(w io.Writer) *Line { return &Line{w: w} }

// Set draws that as many bytes went through. A terminal that can't be written
// to has no line, and that is no failure of the transfer.
func (l *Line) Set(bytes int64) {
	if l.bar == nil {
		l.bar = progressbar.NewOptions64(-1,
			progressbar.OptionSetWriter(l.w),
			progressbar.OptionShowBytes(true),
			progressbar.OptionShowCount(),
			progressbar.OptionUseIECUnits(true),
			progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetRenderBlankState(false),
			progressbar.OptionSetElapsedTime(true),
			progressbar.OptionSpinnerType(14),
			progressbar.OptionSetSpinnerChangeInterval(0), // else it draws by itself, for ever
		)
	}
	_ = l.bar.Set64(bytes)
}

// Clear takes the line away.
func (l *Line) Clear() {
	if l.bar != nil {
		_ = l.bar.Clear()
	}
}
