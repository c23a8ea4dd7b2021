//go:build unix

package measure

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteTable prints an empty line and rows, all of the same length, as a Markdown
// table. The first row is the head. The columns after the first hold figures.
func WriteTable(w io.Writer, rows [][]string) {
	table := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w)
	for n, row := range rows {
		fmt.Fprintf(table, "| %s\t|\n", strings.Join(row, "\t| "))
		if n == 0 {
			fmt.Fprintf(table, "| ---\t%s|\n", strings.Repeat("| ---:\t", len(row)-1))
		}
	}
	table.Flush()
}

// Column is one figure of a report, computed from the figures of a tool.
type Column struct {
	Head   string
	Digits int
	Of     func(*Tool) float64
}

// Quantile returns a column with a quantile of what was measured, times scale.
func Quantile(head string, digits int, what string, q, scale float64) Column {
	return Column{head, digits, func(t *Tool) float64 { return scale * t.Quantile(what, q) }}
}

// WriteReport prints a table of the tools that have figures, and a second one that
// divides them by those with the binary of --against, if there are any.
func WriteReport(w io.Writer, title string, columns []Column, tools []*Tool) {
	figures, ratios := [][]string{{title}}, [][]string{{strings.TrimSpace(title + " ÷ against")}}
	for _, c := range columns {
		figures[0], ratios[0] = append(figures[0], c.Head), append(ratios[0], c.Head)
	}
	for _, t := range tools {
		line, ratio := []string{t.Name}, []string{t.Name}
		for _, c := range columns {
			line = append(line, Number(c.Of(t), c.Digits))
			if t.Against != nil {
				ratio = append(ratio, Number(c.Of(t)/c.Of(t.Against), 2))
			}
		}
		if !slices.ContainsFunc(line[1:], func(cell string) bool { return cell != "–" }) {
			continue
		}
		figures = append(figures, line)
		if t.Against != nil {
			ratios = append(ratios, ratio)
		}
	}
	WriteTable(w, figures)
	if len(ratios) > 1 {
		WriteTable(w, ratios)
	}
}

// WriteFailures prints, as items of a list, the tools that were not measured, and
// why. It returns an error if a tool that this machine has is among them.
func WriteFailures(w io.Writer, tools []*Tool) (err error) {
	for _, t := range tools {
		if t.Failed == nil {
			continue
		}
		fmt.Fprintf(w, "- Not measured: %s: %v.\n", t.Name, t.Failed)
		if _, ok := errors.AsType[Missing](t.Failed); !ok {
			err = errors.Join(err, fmt.Errorf("%s could not be measured", t.Name))
		}
	}
	return err
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

// CheckBars prints a table of all bars and returns an error if one is missed.
func CheckBars(w io.Writer, bars []Bar) error {
	WriteBars(w, bars)
	if missed := Missed(bars); len(missed) > 0 {
		return fmt.Errorf("%d of %d bars are missed", len(missed), len(bars))
	}
	return nil
}
