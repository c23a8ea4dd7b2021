package files

import (
	"context"
	"io/fs"
	"os"
	"strings"

	"mesh/proto"
)

// Collect removes the unfinished files below a folder that no process writes.
// It goes into no link.
func Collect(ctx context.Context, in *os.Root) error {
	return fs.WalkDir(in.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err != nil {
			return proto.IOError(err)
		}
		name := d.Name()
		if !d.Type().IsRegular() || !strings.HasPrefix(name, tempPrefix) || !strings.HasSuffix(name, tempSuffix) {
			return nil
		}
		f, err := in.OpenFile(path, os.O_RDONLY|openNonblock, 0)
		if err != nil {
			return proto.IOError(err)
		}
		defer f.Close()
		if lock(f) != nil {
			return nil // it is being written
		}
		if err := in.Remove(path); err != nil {
			return proto.IOError(err)
		}
		return nil
	})
}
