package files

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"mesh/proto"
)

// Collect removes the unfinished files below a folder that no process writes.
// It goes into no link. What can't be looked into or removed does not hold up the
// rest, and is the error.
func Collect(ctx context.Context, in *os.Root) error {
	var first error
	err := fs.WalkDir(in.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err == nil {
			err = collect(in, path, d)
		}
		if first == nil && err != nil && !errors.Is(err, fs.ErrNotExist) { // somebody else was quicker
			first = proto.IOError(err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return first
}

// collect removes what is at a path if it is an unfinished file.
func collect(in *os.Root, path string, d fs.DirEntry) error {
	name := d.Name()
	if !d.Type().IsRegular() || !strings.HasPrefix(name, tempPrefix) || !strings.HasSuffix(name, tempSuffix) {
		return nil
	}
	f, err := in.OpenFile(path, os.O_RDONLY|openNonblock, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if lock(f) != nil {
		return nil // it is being written
	}
	return in.Remove(path)
}
