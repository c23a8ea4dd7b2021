package disk

import (
	"io/fs"
	"os"
	"time"
)

// lock does nothing: an open file cannot be removed.
func lock(*os.File) error { return nil }

// isOwnedAlone is false, so transfers do not resume: owner and link count are
// not in what Stat returns.
func isOwnedAlone(fs.FileInfo) bool { return false }

// isOwned is false: the owner is not in what Stat returns.
func isOwned(fs.FileInfo) bool { return false }

// changedAt returns when a file was changed last.
func changedAt(_ *os.File, info fs.FileInfo) time.Time { return info.ModTime() }

// HoleBytes is 0: nothing is known of holes.
func HoleBytes(fs.FileInfo) int64 { return 0 }

// isRemoved is false: an open file cannot be removed.
func isRemoved(fs.FileInfo) bool { return false }

// linkCount returns how many names a file has, 0 if that is not known.
func linkCount(fs.FileInfo) uint64 { return 0 }
