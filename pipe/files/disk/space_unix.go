//go:build !windows && !netbsd && !openbsd

package disk

import (
	"os"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

func space(f *os.File) (free, size int64, ok bool) {
	var s unix.Statfs_t
	err := rawfd.Control(f, func(fd uintptr) error { return unix.Fstatfs(int(fd), &s) })
	free, size = int64(s.Bavail)*int64(s.Bsize), int64(s.Blocks)*int64(s.Bsize)
	return free, size, err == nil && free >= 0 && size >= 0
}
