//go:build !windows

package statefile

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// foldersSync says that a folder can be opened and synced.
const foldersSync = true

// othersMayWrite returns why users other than this one and root may write the file or
// folder, and what to do about it. It returns "" if they may not.
func othersMayWrite(info fs.FileInfo) string {
	if perm := info.Mode().Perm(); perm&0o022 != 0 {
		return fmt.Sprintf("other users may write it (mode %04o): run chmod go-w on it", perm)
	}
	if owner, ok := Stranger(info); ok && owner != 0 {
		return fmt.Sprintf("another user may write it: it belongs to user %d", owner)
	}
	return ""
}

// Stranger returns the owner of a file, and whether that is another user than this one.
func Stranger(info fs.FileInfo) (owner int, ok bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(s.Uid), int(s.Uid) != os.Geteuid()
}
