//go:build !windows

package disk

import (
	"os"
	"syscall"
)

// fileFlags are for every open of a file. O_NONBLOCK keeps open from waiting for the
// other end of a FIFO that has taken the place of a file.
const fileFlags = syscall.O_NONBLOCK | largeFile

func syncFolder(dir *os.File) error { return dir.Sync() }
