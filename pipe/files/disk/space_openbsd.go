package disk

import (
	"os"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

func space(f *os.File) (free, size int64, ok bool) {
	var s unix.Statfs_t
	err := rawfd.Control(f, func(fd uintptr) error { return unix.Fstatfs(int(fd), &s) })
	free, size = s.F_bavail*int64(s.F_bsize), int64(s.F_blocks)*int64(s.F_bsize)
	return free, size, err == nil && free >= 0 && size >= 0
}
