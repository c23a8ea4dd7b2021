//go:build !windows

package files

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

// lock takes a file for this process, as long as it is open; it fails if
// another one has it.
func lock(f *os.File) error {
	return rawfd.Control(f, func(fd uintptr) error { return unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) })
}

// isOurs reports whether a regular file belongs to this user and has one name
// only, so that writing it writes nothing else.
func isOurs(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode().IsRegular() && s.Nlink == 1 && int(s.Uid) == os.Geteuid()
}

// freeBytes is how much more can be stored where f is, and whether that is known.
func freeBytes(f *os.File) (int64, bool) {
	var s unix.Statfs_t
	err := rawfd.Control(f, func(fd uintptr) error { return unix.Fstatfs(int(fd), &s) })
	if err != nil {
		return 0, false
	}
	free := available(&s)
	return free, free >= 0
}
