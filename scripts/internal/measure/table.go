package measure

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// WriteTable prints an empty line and rows, all of the same length, as a
// Markdown table whose columns are aligned. The first row is the head. The first
// column is flush left, the others, which hold figures, are flush right.
func WriteTable(w io.Writer, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], 1, utf8.RuneCountInString(cell))
		}
	}
	rule := make([]string, len(widths))
	for i, width := range widths {
		rule[i] = strings.Repeat("-", width)
		if i > 0 {
			rule[i] = rule[i][1:] + ":"
		}
	}
	fmt.Fprintln(w)
	for n, row := range rows {
		writeRow(w, row, widths)
		if n == 0 {
			writeRow(w, rule, widths)
		}
	}
}

func writeRow(w io.Writer, cells []string, widths []int) {
	for i, cell := range cells {
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if i == 0 {
			fmt.Fprintf(w, "| %s%s ", cell, pad)
		} else {
			fmt.Fprintf(w, "| %s%s ", pad, cell)
		}
	}
	fmt.Fprintln(w, "|")
}
