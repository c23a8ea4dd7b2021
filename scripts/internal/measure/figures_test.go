package measure_test

import (
	"math"
	"strings"
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
		"two":     {measure.Figures{4, 1}, 1, 2.5, 4, 4, 4},
		"three":   {measure.Figures{9, 1, 2}, 1, 2, 9, 9, 9},
		"hundred": {hundred, 1, 50.5, 100, 100, 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for what, pair := range map[string][2]float64{
				"least":    {test.figures.Quantile(0), test.least},
				"median":   {test.figures.Median(), test.median},
				"p99":      {test.figures.Quantile(0.99), test.q99},
				"greatest": {test.figures.Quantile(1), test.greatest},
			} {
				if got, want := pair[0], pair[1]; got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
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
		"–":       measure.Number(math.NaN(), 2),
		"–––":     measure.Figures(nil).Range(1),
		"–, –":    measure.Number(math.Inf(1), 1) + ", " + measure.Number(math.Inf(-1), 1),
		"0":       measure.Number(0, 0),
		"-1.50":   measure.Number(-1.5, 2),
		"1.0–2.5": measure.Figures{2.5, 1}.Range(1),
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

func TestCheckBars(t *testing.T) {
	t.Parallel()
	held := measure.Bar{What: "speed", Got: 2, Op: "≥", Limit: 1}
	missed := measure.Bar{What: "time", Got: 3, Op: "<", Limit: 2, Note: "late"}
	var text strings.Builder
	if err := measure.CheckBars(&text, []measure.Bar{held}); err != nil {
		t.Errorf("got error %v, want none", err)
	}
	text.Reset()
	if err := measure.CheckBars(&text, []measure.Bar{held, missed}); err == nil || err.Error() != "1 of 2 bars are missed" {
		t.Errorf("got error %v, want that 1 of 2 is missed", err)
	}
	const want = `
| bar   |  got |   want |              |
| ----- | ---: | -----: | -----------: |
| speed | 2.00 | ≥ 1.00 |         held |
| time  | 3.00 | < 2.00 | missed, late |
`
	if text.String() != want {
		t.Errorf("got%swant%s", text.String(), want)
	}
}
