//go:build unix

package term

import (
	"os"

	"golang.org/x/sys/unix"
)

// Foreground reports whether this process is in the foreground process group of the
// terminal, or the terminal has none.
func Foreground(terminal *os.File) bool {
	group, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}
