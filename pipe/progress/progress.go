// Package progress draws the progress line of a transfer on a terminal.
package progress

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Interval is how often a caller should draw the line.
const Interval = 200 * time.Millisecond

// asciiSpinner is the number of a spinner of ASCII characters, which every terminal and
// locale can show.
const asciiSpinner = 9

// Line is a progress line: bytes, rate, time, and the percentage if the total is known.
// Nothing is drawn before the first Set.
type Line struct {
	w      io.Writer
	bar    *progressbar.ProgressBar
	drawn  bool
	notice string // shown instead of the bar; empty while the bar is
}

// New returns a line on the terminal w for a transfer that begins now and has total
// bytes; a total of 0 is unknown. ansi says that the terminal interprets escape
// sequences: then Clear also removes text that was typed on the line.
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
		progressbar.OptionSetSpinnerChangeInterval(0), // else a goroutine draws, and never ends
		progressbar.OptionUseANSICodes(ansi),
	)
	bar.StartWithoutRender()
	return &Line{w: w, bar: bar}
}

// Set draws the line for bytes transferred so far, at most the total. Errors of the
// terminal are ignored: they do not concern the transfer.
func (l *Line) Set(bytes int64) {
	l.clearNotice()
	l.drawn = true
	_ = l.bar.Set64(bytes)
}

// Broken shows, until the next Set, that the link has been broken for d.
func (l *Line) Broken(d time.Duration) {
	notice := fmt.Sprintf("link broken, waiting %d s", int(d.Seconds()))
	if notice == l.notice {
		return
	}
	l.Clear()
	l.notice = notice
	_, _ = io.WriteString(l.w, notice)
}

// Clear removes the line.
func (l *Line) Clear() {
	l.clearNotice()
	if l.drawn {
		_ = l.bar.Clear()
	}
}

// clearNotice removes the notice.
func (l *Line) clearNotice() {
	if l.notice != "" {
		_, _ = io.WriteString(l.w, "\r"+strings.Repeat(" ", len(l.notice))+"\r")
		l.notice = ""
	}
}
