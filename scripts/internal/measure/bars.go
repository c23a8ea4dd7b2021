package measure

import (
	"fmt"
	"io"
)

// Bar is a figure and the limit that --check holds it to.
type Bar struct {
	What  string
	Got   float64 // NaN: there is no figure, and the bar is missed
	Op    string  // how Got must compare with Limit: ≥, ≤ or <
	Limit float64
	Note  string // why Got may be wrong, if it may
}

// Held reports whether the figure keeps the limit.
func (b Bar) Held() bool {
	switch b.Op {
	case "≥":
		return b.Got >= b.Limit
	case "≤":
		return b.Got <= b.Limit
	case "<":
		return b.Got < b.Limit
	}
	panic("unknown comparison " + b.Op)
}

// WriteBars prints a table of all bars.
func WriteBars(w io.Writer, bars []Bar) {
	rows := [][]string{{"bar", "got", "want", ""}}
	for _, b := range bars {
		verdict := "held"
		if !b.Held() {
			verdict = "missed"
		}
		if b.Note != "" {
			verdict += ", " + b.Note
		}
		rows = append(rows, []string{b.What, Number(b.Got, 2), fmt.Sprintf("%s %.2f", b.Op, b.Limit), verdict})
	}
	WriteTable(w, rows)
}

// Missed returns the bars that are not held.
func Missed(bars []Bar) (missed []Bar) {
	for _, b := range bars {
		if !b.Held() {
			missed = append(missed, b)
		}
	}
	return missed
}

// CheckBars prints a table of all bars and returns an error if one is missed.
func CheckBars(w io.Writer, bars []Bar) error {
	WriteBars(w, bars)
	if missed := Missed(bars); missed != nil {
		return fmt.Errorf("%d of %d bars are missed", len(missed), len(bars))
	}
	return nil
}
