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

// Line is a progress line of unknown length: bytes, rate, time.
type Line struct{ bar *progressbar.ProgressBar }

// New returns a line on w, a terminal. Nothing is drawn before the first Set.
func New(w io.Writer) *Line {
	return &Line{progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(w),
		progressbar.OptionShowBytes(true),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetRenderBlankState(false),
		progressbar.OptionSetElapsedTime(true),
		progressbar.OptionSpinnerType(14),
		progressbar.OptionClearOnFinish(),
	)}
}

// Set draws that as many bytes went through. A terminal that can't be written
// to has no line, and that is no failure of the transfer.
func (l *Line) Set(bytes int64) { _ = l.bar.Set64(bytes) }

// Clear takes the line away.
func (l *Line) Clear() { _ = l.bar.Clear() }
