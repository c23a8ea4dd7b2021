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

// Line is a progress line: bytes, rate, and the percentage and the time left if the total
// is known. Nothing is drawn before the first Set.
type Line struct {
	w      io.Writer
	ansi   bool
	bar    *progressbar.ProgressBar // nil while the total is not known
	spin   int
	drawn  string // without a bar
	most   int64  // of the bytes so far: the percentage never goes back
	notice string // shown instead of the line; empty while that is
}

// State is how far a transfer has come.
type State struct {
	Bytes int64
	// Total is how many bytes there are at least, and exactly if Known is set; 0 if
	// nothing is known.
	Total int64
	Known bool
	Rate  float64 // bytes per second
	// Left is the time left; negative if it is not known.
	Left time.Duration
	// Limit is the rate that the user allows; 0 for any.
	Limit int64
}

// New returns a line on the terminal w for a transfer that begins now. ansi says that the
// terminal interprets escape sequences: then Clear also removes text that was typed on
// the line.
func New(w io.Writer, ansi bool) *Line { return &Line{w: w, ansi: ansi} }

// newBar returns a bar for so many bytes.
func (l *Line) newBar(total int64) *progressbar.ProgressBar {
	bar := progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(l.w),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetRenderBlankState(false),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetWidth(20),
		progressbar.OptionShowDescriptionAtLineEnd(),
		progressbar.OptionSetTheme(progressbar.ThemeASCII),
		progressbar.OptionUseANSICodes(l.ansi),
	)
	bar.StartWithoutRender()
	return bar
}

// Set draws the line. Errors of the terminal are ignored: they do not concern the
// transfer.
func (l *Line) Set(s State) {
	l.clearNotice()
	l.most = max(l.most, s.Bytes)
	s.Bytes = l.most
	if !s.Known || s.Total == 0 {
		l.setUnknown(s)
		return
	}
	s.Bytes = min(s.Bytes, s.Total)
	if l.bar == nil {
		l.clearText()
		l.bar = l.newBar(s.Total)
	}
	if l.bar.GetMax64() != s.Total {
		l.bar.ChangeMax64(s.Total)
	}
	l.bar.Describe(s.words())
	_ = l.bar.Set64(s.Bytes)
}

// setUnknown draws the line of a transfer without a percentage.
func (l *Line) setUnknown(s State) {
	l.spin++
	text := string(`|/-\`[l.spin%4]) + " " + s.words()
	l.clearText()
	l.drawn = text
	_, _ = io.WriteString(l.w, text)
}

// words returns the text of the line.
func (s State) words() string {
	words := binary(float64(s.Bytes))
	switch {
	case s.Known && s.Total > 0:
		words += "/" + binary(float64(s.Total))
	case s.Total > 0: // the list of files is not complete
		words += " of >= " + binary(float64(s.Total))
	}
	if s.Rate > 0 {
		words += ", " + binary(s.Rate) + "/s"
	}
	if s.Limit > 0 {
		words += " (limit " + binary(float64(s.Limit)) + "/s)"
	}
	if s.Left >= 0 && s.Known && s.Total > 0 {
		words += ", " + s.Left.Round(time.Second).String() + " left"
	}
	return words
}

// binary returns a number of bytes in powers of 1024, as --limit-rate has them.
func binary(n float64) string {
	const units = "KMGTPE"
	unit := -1
	for ; n >= 1023.5 && unit < len(units)-1; unit++ {
		n /= 1024
	}
	switch {
	case unit < 0:
		return fmt.Sprintf("%.0f B", n)
	case n < 9.95:
		return fmt.Sprintf("%.1f %ciB", n, units[unit])
	}
	return fmt.Sprintf("%.0f %ciB", n, units[unit])
}

// clearText removes a line without a bar.
func (l *Line) clearText() {
	switch {
	case l.drawn == "":
	case l.ansi:
		_, _ = io.WriteString(l.w, "\x1b[2K\r")
	default:
		_, _ = io.WriteString(l.w, "\r"+strings.Repeat(" ", len(l.drawn))+"\r")
	}
	l.drawn = ""
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
	l.clearText()
	if l.bar != nil {
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
