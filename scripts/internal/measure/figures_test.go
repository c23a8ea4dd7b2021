package measure_test

import (
	"math"
	"testing"

	"mesh/scripts/internal/measure"
)

func TestFigures(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	hundred := make(measure.Figures, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i) // 100 … 1
	}
	for name, test := range map[string]struct {
		figures             measure.Figures
		least, median, q99  float64
		greatest, wantFirst float64
	}{
		"none":    {nil, nan, nan, nan, nan, nan},
		"one":     {measure.Figures{3}, 3, 3, 3, 3, 3},
		"two":     {measure.Figures{4, 1}, 1, 2.5, 3.97, 4, 4},
		"three":   {measure.Figures{9, 1, 2}, 1, 2, 8.86, 9, 9},
		"hundred": {hundred, 1, 50.5, 99.01, 100, 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for what, pair := range map[string][2]float64{
				"least":    {test.figures.Quantile(0), test.least},
				"median":   {test.figures.Median(), test.median},
				"p99":      {test.figures.Quantile(0.99), test.q99},
				"greatest": {test.figures.Quantile(1), test.greatest},
			} {
				if got, want := pair[0], pair[1]; math.Abs(got-want) > 1e-9 || math.IsNaN(got) != math.IsNaN(want) {
					t.Errorf("%s: got %v, want %v", what, got, want)
				}
			}
			if len(test.figures) > 0 && test.figures[0] != test.wantFirst {
				t.Errorf("the figures are in another order: %v", test.figures)
			}
		})
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"–":     measure.Number(math.NaN(), 2),
		"–, –":  measure.Number(math.Inf(1), 1) + ", " + measure.Number(math.Inf(-1), 1),
		"0":     measure.Number(0, 0),
		"-1.50": measure.Number(-1.5, 2),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestBars(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		got  float64
		op   string
		held bool
	}{
		{0.9, "≥", false},
		{1, "≥", true},
		{1.1, "≥", true},
		{math.NaN(), "≥", false},
		{0.9, "≤", true},
		{1, "≤", true},
		{1.1, "≤", false},
		{-1, "≤", true},
		{math.NaN(), "≤", false},
		{0.9, "<", true},
		{1, "<", false},
		{math.NaN(), "<", false},
	} {
		b := measure.Bar{What: "it", Got: test.got, Op: test.op, Limit: 1}
		if b.Held() != test.held {
			t.Errorf("%v %s 1: got %v, want %v", test.got, test.op, b.Held(), test.held)
		}
	}
}
