package measure

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Figures are the results of some runs, all in one unit. A statistic of no
// figures is NaN, which Number prints as a dash and no Bar accepts.
type Figures []float64

// Quantile returns the figure below which the share q of the others lies: 0 is the
// least, 0.5 the median, 1 the greatest. Between two figures it interpolates.
func (f Figures) Quantile(q float64) float64 {
	if len(f) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(f))
	below, part := math.Modf(q * float64(len(f)-1))
	i := int(below)
	return sorted[i] + part*(sorted[min(i+1, len(f)-1)]-sorted[i])
}

// Median returns the middle figure, or the mean of the two in the middle.
func (f Figures) Median() float64 { return f.Quantile(0.5) }

// Number prints a figure, or a dash for NaN and the infinities.
func Number(f float64, digits int) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "–"
	}
	return fmt.Sprintf("%.*f", digits, f)
}

// MS returns d in milliseconds.
func MS(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

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
	return b.Op == "≥" && b.Got >= b.Limit || b.Op == "≤" && b.Got <= b.Limit || b.Op == "<" && b.Got < b.Limit
}

// Missed returns the bars that are not held.
func Missed(bars []Bar) []Bar { return slices.DeleteFunc(slices.Clone(bars), Bar.Held) }
