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

// Quantile returns the figure below which the share q of the others lies: 0 is
// the least, 1 the greatest.
func (f Figures) Quantile(q float64) float64 {
	if len(f) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(f))
	return sorted[min(int(q*float64(len(f))), len(f)-1)]
}

// Median returns the middle figure, or the mean of the two in the middle.
func (f Figures) Median() float64 {
	n := len(f)
	if n == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(f))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Range returns the least and the greatest figure.
func (f Figures) Range(digits int) string {
	return Number(f.Quantile(0), digits) + "–" + Number(f.Quantile(1), digits)
}

// Number prints a figure, or a dash for NaN and the infinities.
func Number(f float64, digits int) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "–"
	}
	return fmt.Sprintf("%.*f", digits, f)
}

// MS returns d in milliseconds.
func MS(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
