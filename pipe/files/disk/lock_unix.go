//go:build !windows

package disk

import (
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

// lock locks an open file with flock until it is closed. It does not wait: it
// fails if the file is locked.
func lock(f *os.File) error {
	return rawfd.Control(f, func(fd uintptr) error { return unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) })
}

// isOwnedAlone reports whether a regular file belongs to this user and has one
// name, so that writing to it changes nothing else.
func isOwnedAlone(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode().IsRegular() && s.Nlink == 1 && isOwned(info)
}

// isOwned reports whether a file or folder belongs to this user.
func isOwned(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid()
}

// changedAt returns when a file was changed last. No process can set that time back.
func changedAt(f *os.File, info fs.FileInfo) time.Time {
	var s unix.Stat_t
	if rawfd.Control(f, func(fd uintptr) error { return unix.Fstat(int(fd), &s) }) != nil {
		return info.ModTime()
	}
	return time.Unix(s.Ctim.Unix())
}

// HoleBytes returns how many bytes of a file are in holes, as far as that is known: the
// blocks of a file system that compresses say little.
func HoleBytes(info fs.FileInfo) int64 {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	const blockBytes = 512
	return max(info.Size()-int64(s.Blocks)*blockBytes, 0)
}

// isRemoved reports whether an open file has no name any more.
func isRemoved(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && s.Nlink == 0
}

// linkCount returns how many names a file has, 0 if that is not known.
func linkCount(info fs.FileInfo) uint64 {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return uint64(s.Nlink)
}
