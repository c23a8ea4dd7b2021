//go:build !linux

package disk

import (
	"errors"
	"io/fs"
	"os"
)

// startSync does nothing: there is no call that does not wait.
func startSync(*os.File) {}

// sameDisk is false, so that nobody relies on syncDisk.
func sameDisk(_, _ fs.FileInfo) bool { return false }

// syncDisk fails: there is no call that syncs one file system and waits.
func syncDisk(*os.File) error { return errors.ErrUnsupported }
