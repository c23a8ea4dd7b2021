//go:build !linux

package disk

import (
	"errors"
	"io/fs"
)

// umask is not known, so no folder gets a mark.
func umask() (fs.FileMode, bool) { return 0, false }

func mkdirSticky(*Folder, string, fs.FileMode) error { return errors.ErrUnsupported }
