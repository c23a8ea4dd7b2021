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

// MakeRaw puts a terminal into raw mode, in which it gives single keys. The caller calls
// restore.
func MakeRaw(f *os.File) (restore func(), err error) {
	before, err := term.MakeRaw(int(f.Fd()))
	if err != nil {
		return nil, err
	}
	return func() { _ = term.Restore(int(f.Fd()), before) }, nil
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
