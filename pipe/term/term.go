// Package term answers what tools ask about their own terminals.
package term

import (
	"os"

	"golang.org/x/term"
)

// IsTerminal reports whether v, a reader or a writer, is a terminal.
func IsTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && f != nil && term.IsTerminal(int(f.Fd()))
}

// The size of a terminal that does not report one.
const (
	DefaultCols = 80
	DefaultRows = 24
)

// Size returns a terminal's size, or the default one if it does not report it.
func Size(f *os.File) (cols, rows int) {
	cols, rows, err := term.GetSize(int(f.Fd()))
	if err != nil || cols <= 0 || rows <= 0 {
		return DefaultCols, DefaultRows
	}
	return cols, rows
}
