// Package progress draws the one line that says how far a transfer is, for
// people at a terminal.
package progress

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Every is how often the line is worth drawing.
const Every = 200 * time.Millisecond

// asciiSpinner is a spinner that every terminal and locale can show.
const asciiSpinner = 9

// Line is a progress line: bytes, rate, time, and what part of all it is where
// that is known. Nothing is drawn before the first Set.
type Line struct {
	w     io.Writer
	bar   *progressbar.ProgressBar
	drawn bool
	words string // what is there in place of the bar
}

// New returns a line on w, a terminal, of a transfer that begins now and has
// total bytes, or nobody knows how many if that is 0. ansi says that the terminal
// knows escape sequences: then Clear leaves nothing either of what was typed.
func New(w io.Writer, total int64, ansi bool) *Line {
	known := total > 0
	if !known {
		total = -1
	}
	bar := progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionShowBytes(true),
		progressbar.OptionShowCount(),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionSetPredictTime(known),
		progressbar.OptionSetRenderBlankState(false),
		progressbar.OptionSetElapsedTime(true),
		progressbar.OptionSetTheme(progressbar.ThemeASCII),
		progressbar.OptionSpinnerType(asciiSpinner),
		progressbar.OptionSetSpinnerChangeInterval(0), // else it draws by itself, for ever
		progressbar.OptionUseANSICodes(ansi),
	)
	bar.StartWithoutRender()
	return &Line{w: w, bar: bar}
}

// Set draws that as many bytes went through; what exceeds the total is not drawn.
// A terminal that can't be written to has no line, and that is no failure of the
// transfer.
func (l *Line) Set(bytes int64) {
	l.wipe()
	l.drawn = true
	_ = l.bar.Set64(bytes)
}

// Broken draws, in place of all else, that the link has been broken for as long as
// d, until the next Set.
func (l *Line) Broken(d time.Duration) {
	words := fmt.Sprintf("link broken, waiting %d s", int(d.Seconds()))
	if words == l.words {
		return
	}
	l.Clear()
	l.words = words
	_, _ = io.WriteString(l.w, words)
}

// Clear takes the line away.
func (l *Line) Clear() {
	l.wipe()
	if l.drawn {
		_ = l.bar.Clear()
	}
}

// wipe takes the words away.
func (l *Line) wipe() {
	if l.words != "" {
		_, _ = io.WriteString(l.w, "\r"+strings.Repeat(" ", len(l.words))+"\r")
		l.words = ""
	}
}
