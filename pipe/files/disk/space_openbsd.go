package disk

import (
	"os"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

func freeBytes(f *os.File) (int64, bool) {
	var s unix.Statfs_t
	err := rawfd.Control(f, func(fd uintptr) error { return unix.Fstatfs(int(fd), &s) })
	free := s.F_bavail * int64(s.F_bsize)
	return free, err == nil && free >= 0
}
