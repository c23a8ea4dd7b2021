//go:build !windows

package files

import (
	"errors"
	"os"
)

// syncDir makes a folder's entries durable.
func syncDir(dir *os.Root) error {
	f, err := dir.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(syncFolder(f), f.Close())
}

// syncFolder is syncDir for a folder that is open.
func syncFolder(dir *os.File) error { return dir.Sync() }
