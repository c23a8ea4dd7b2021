//go:build !windows

package disk

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

// linkBetween makes a hard link in another folder, and follows no symbolic link.
func linkBetween(from *Folder, name string, to *Folder, as string) error {
	return rawfd.Control(from.dir, func(old uintptr) error {
		return rawfd.Control(to.dir, func(at uintptr) error { return unix.Linkat(int(old), name, int(at), as, 0) })
	})
}

// FileID is the number of a file, which all its names share.
type FileID struct{ device, inode uint64 }

// IDOfLinked returns the number of a regular file that has several names, and false for
// any other file.
func IDOfLinked(info fs.FileInfo) (FileID, bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !hasHardLinks(info) {
		return FileID{}, false
	}
	return FileID{uint64(s.Dev), uint64(s.Ino)}, true
}
