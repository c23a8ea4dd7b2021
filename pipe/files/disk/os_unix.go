//go:build !windows

package disk

import (
	"os"
	"syscall"
)

// nonblock keeps open from waiting for the other end of a FIFO that has taken
// the place of a file.
const nonblock = syscall.O_NONBLOCK

func syncFolder(dir *os.File) error { return dir.Sync() }
