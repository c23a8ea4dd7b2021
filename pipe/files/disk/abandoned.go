package disk

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"mesh/proto"
)

// RemoveAbandoned removes the temporary files below a folder that no process has
// locked. It follows no link. It goes on behind what it cannot read or remove,
// and returns the first such error.
func RemoveAbandoned(ctx context.Context, in *os.Root) error {
	var first error
	err := fs.WalkDir(in.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err == nil {
			err = removeIfAbandoned(in, path, d)
		}
		if first == nil && err != nil && !errors.Is(err, fs.ErrNotExist) { // somebody else removed it
			first = proto.IOError(err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return first
}

func removeIfAbandoned(in *os.Root, path string, d fs.DirEntry) error {
	if !d.Type().IsRegular() || !isTempName(d.Name()) {
		return nil
	}
	f, err := in.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if lock(f) != nil {
		return nil // a process writes it
	}
	return in.Remove(path)
}
