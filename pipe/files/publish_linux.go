package files

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

// startSync begins to write a file to the disk, and does not wait for it, so
// that many reach it together.
func startSync(f *os.File) {
	_ = rawfd.Control(f, func(fd uintptr) error { return unix.SyncFileRange(int(fd), 0, 0, unix.SYNC_FILE_RANGE_WRITE) })
}

// sameDisk reports whether [syncAll] for one of two files is for the other too.
func sameDisk(a, b fs.FileInfo) bool {
	x, ok := a.Sys().(*syscall.Stat_t)
	y, ok2 := b.Sys().(*syscall.Stat_t)
	return ok && ok2 && x.Dev == y.Dev
}

// syncAll makes all durable that was written to the file system that f is in.
func syncAll(f *os.File) error {
	return rawfd.Control(f, func(fd uintptr) error { return unix.Syncfs(int(fd)) })
}

// rename gives a name in an open folder another name that is not there yet.
func rename(in *directory, from, to string) error {
	err := rawfd.Control(in.file, func(fd uintptr) error {
		return unix.Renameat2(int(fd), from, int(fd), to, unix.RENAME_NOREPLACE)
	})
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // not every file system can
		return linkAndRemove(in, from, to)
	}
	if err == unix.EEXIST {
		return fs.ErrExist
	}
	return err
}
