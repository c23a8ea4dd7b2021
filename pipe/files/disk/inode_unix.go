//go:build !windows

package disk

import (
	"io/fs"
	"syscall"
)

// Inode returns the inode number of a file, 0 if the system has none.
func Inode(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Ino)
	}
	return 0
}
