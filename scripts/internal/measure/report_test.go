//go:build unix

package measure_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"mesh/scripts/internal/measure"
)

func TestWriteTable(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	measure.WriteTable(&got, [][]string{{"", "MiB/s", "×"}, {"mesh", "1", "–"}, {"über", "22", "1.05"}})
	const want = `
|      | MiB/s | ×    |
| ---  | ---:  | ---: |
| mesh | 1     | –    |
| über | 22    | 1.05 |
`
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

func TestWriteReport(t *testing.T) {
	t.Parallel()
	against := &measure.Tool{Name: "against: mesh", Figures: map[string]measure.Figures{"s": {2}}}
	mesh := &measure.Tool{Name: "mesh", Against: against, Figures: map[string]measure.Figures{"s": {1, 1, 7}}}
	columns := []measure.Column{{Head: "s", Digits: 1, Of: func(t *measure.Tool) float64 { return t.Median("s") }}}
	var got strings.Builder
	measure.WriteReport(&got, "1 KiB", columns, []*measure.Tool{mesh, against, {Name: "without figures"}})
	const want = `
| 1 KiB         | s    |
| ---           | ---: |
| mesh          | 1.0  |
| against: mesh | 2.0  |

| 1 KiB ÷ against | s    |
| ---             | ---: |
| mesh            | 0.50 |
`
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

func TestTakeTurns(t *testing.T) {
	t.Parallel()
	tools := []*measure.Tool{{Name: "a"}, {Name: "fails"}, {Name: "missing", Failed: measure.Missing{What: "it is not installed"}}}
	var turns []string
	err := measure.TakeTurns(t.Context(), "test", 3, tools, func(tool *measure.Tool) error {
		turns = append(turns, tool.Name)
		tool.Add("s", 1)
		if tool.Name == "fails" && len(turns) > 2 {
			return errors.New("no")
		}
		return nil
	})
	if want := []string{"a", "fails", "fails", "a", "a"}; err != nil || !slices.Equal(turns, want) {
		t.Errorf("got turns of %q and error %v, want %q", turns, err, want)
	}
	if want := map[string]measure.Figures{"s": {1, 1, 1}}; !maps.EqualFunc(tools[0].Figures, want, slices.Equal) || tools[1].Figures != nil {
		t.Errorf("got %v and %v, want %v and none", tools[0].Figures, tools[1].Figures, want)
	}
	var text strings.Builder
	err = measure.WriteFailures(&text, tools)
	if err == nil || strings.Contains(err.Error(), "missing") || !strings.Contains(err.Error(), "fails") {
		t.Errorf("got error %v, want that one tool has failed", err)
	}
	if strings.Count(text.String(), "Not measured") != 2 {
		t.Errorf("got %q, want both tools", text.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := measure.TakeTurns(ctx, "test", 1, tools, func(*measure.Tool) error { return nil }); err == nil {
		t.Error("got no error after the end of the context")
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
| bar   | got  | want   |              |
| ---   | ---: | ---:   | ---:         |
| speed | 2.00 | ≥ 1.00 | held         |
| time  | 3.00 | < 2.00 | missed, late |
`
	if text.String() != want {
		t.Errorf("got%swant%s", text.String(), want)
	}
}
