//go:build !windows

package job

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

// tryLock locks an open file until it is closed, for this process alone or shared. It does
// not wait: it returns errLocked if the file is locked.
func tryLock(f *os.File, alone bool) error {
	how := unix.LOCK_SH | unix.LOCK_NB
	if alone {
		how = unix.LOCK_EX | unix.LOCK_NB
	}
	err := rawfd.Control(f, func(fd uintptr) error { return unix.Flock(int(fd), how) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errLocked
	}
	return err
}
