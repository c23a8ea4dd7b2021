package disk

import (
	"errors"
	"io/fs"
)

func linkBetween(*Folder, string, *Folder, string) error { return errors.ErrUnsupported }

// FileID is the number of a file, which is not known.
type FileID struct{}

// IDOfLinked is false: the number of names is not known.
func IDOfLinked(fs.FileInfo) (FileID, bool) { return FileID{}, false }
