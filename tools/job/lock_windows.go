package job

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"

	"mesh/proto/rawfd"
)

// lockAt is the offset of the byte that is locked. It is beyond the content, which other
// processes could not read otherwise.
const lockAt = 1 << 30

// tryLock locks an open file until it is closed, for this process alone or shared. It does
// not wait: it returns errLocked if the file is locked.
func tryLock(f *os.File, alone bool) error {
	how := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if alone {
		how |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	err := rawfd.Control(f, func(fd uintptr) error {
		return windows.LockFileEx(windows.Handle(fd), how, 0, 1, 0, &windows.Overlapped{Offset: lockAt})
	})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return errLocked
	}
	return err
}
