package disk

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

func startSync(f *os.File) {
	_ = rawfd.Control(f, func(fd uintptr) error { return unix.SyncFileRange(int(fd), 0, 0, unix.SYNC_FILE_RANGE_WRITE) })
}

// sameDisk reports whether two files are on one mounted device.
func sameDisk(a, b fs.FileInfo) bool {
	x, ok := a.Sys().(*syscall.Stat_t)
	y, ok2 := b.Sys().(*syscall.Stat_t)
	return ok && ok2 && x.Dev == y.Dev
}

func syncDisk(f *os.File) error {
	return rawfd.Control(f, func(fd uintptr) error { return unix.Syncfs(int(fd)) })
}
