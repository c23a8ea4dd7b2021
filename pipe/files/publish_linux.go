package files

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// startSync begins to write a file to the disk, and does not wait for it, so
// that many reach it together.
func startSync(f *os.File) {
	_ = control(f, func(fd uintptr) error { return unix.SyncFileRange(int(fd), 0, 0, unix.SYNC_FILE_RANGE_WRITE) })
}

// syncAll makes all durable that was written where f is, and reports whether
// the system can do that.
func syncAll(f *os.File) (bool, error) {
	return true, control(f, func(fd uintptr) error { return unix.Syncfs(int(fd)) })
}

// rename gives a name in an open folder, of which dir is too, another name that is
// not there yet.
func rename(root *os.Root, dir *os.File, from, to string) error {
	err := control(dir, func(fd uintptr) error {
		return unix.Renameat2(int(fd), from, int(fd), to, unix.RENAME_NOREPLACE)
	})
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // not every file system can
		return linkAndRemove(root, from, to)
	}
	if err == unix.EEXIST {
		return fs.ErrExist
	}
	return err
}
