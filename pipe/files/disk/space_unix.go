//go:build !windows

package disk

import (
	"os"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

func freeBytes(f *os.File) (int64, bool) {
	var s unix.Statfs_t
	err := rawfd.Control(f, func(fd uintptr) error { return unix.Fstatfs(int(fd), &s) })
	if err != nil {
		return 0, false
	}
	free := availableBytes(&s)
	return free, free >= 0
}
