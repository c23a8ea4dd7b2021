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
	return errors.Join(f.Sync(), f.Close())
}
