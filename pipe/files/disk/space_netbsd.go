package disk

import (
	"os"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

func space(f *os.File) (free, size int64, ok bool) {
	var s unix.Statvfs_t
	err := rawfd.Control(f, func(fd uintptr) error { return unix.Fstatvfs(int(fd), &s) })
	free, size = int64(s.Bavail)*int64(s.Frsize), int64(s.Blocks)*int64(s.Frsize)
	return free, size, err == nil && free >= 0 && size >= 0
}
