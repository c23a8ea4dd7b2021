package disk

import (
	"os"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

func freeBytes(f *os.File) (int64, bool) {
	var s unix.Statvfs_t
	err := rawfd.Control(f, func(fd uintptr) error { return unix.Fstatvfs(int(fd), &s) })
	free := int64(s.Bavail) * int64(s.Frsize)
	return free, err == nil && free >= 0
}
