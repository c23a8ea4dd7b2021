package measure

import "io"

// Column is one figure of a report, computed from the result R of a row.
type Column[R any] struct {
	Head   string
	Digits int
	Of     func(R) float64
}

// Row is one result of a report, and the result of the same measurement with the
// binary of --against, if there is one.
type Row[R any] struct {
	Name    string
	Result  R
	Against *R
}

// WriteReport prints a table of the rows, and a second one that divides the figures
// of each row by those with the binary of --against, if there are any.
func WriteReport[R any](w io.Writer, title string, columns []Column[R], rows []Row[R]) {
	figures, ratios := [][]string{{title}}, [][]string{{title + " ÷ against"}}
	for _, c := range columns {
		figures[0], ratios[0] = append(figures[0], c.Head), append(ratios[0], c.Head)
	}
	for _, r := range rows {
		line, ratio := []string{r.Name}, []string{r.Name}
		for _, c := range columns {
			line = append(line, Number(c.Of(r.Result), c.Digits))
			if r.Against != nil {
				ratio = append(ratio, Number(c.Of(r.Result)/c.Of(*r.Against), 2))
			}
		}
		figures = append(figures, line)
		if r.Against != nil {
			ratios = append(ratios, ratio)
		}
	}
	WriteTable(w, figures)
	if len(ratios) > 1 {
		WriteTable(w, ratios)
	}
}
