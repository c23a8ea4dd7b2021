// Package outfile writes a small file whole: a reader of the file never sees a part
// of its data.
package outfile

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"mesh/proto"
)

// Write creates the file name with data. It writes a temporary file beside it,
// syncs it, and renames it, which replaces a regular file. A device or a FIFO is
// written to instead; a symbolic link to a regular file is refused.
func Write(name string, data []byte, perm os.FileMode) error {
	if i, err := os.Lstat(name); err == nil && !i.Mode().IsRegular() {
		return writeThrough(name, data)
	}
	tmp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+"."+rand.Text()[:8]+".tmp")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			pe.Path = name // the name that the user gave
		}
		return proto.IOError(err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(tmp, name)
	}
	if err != nil {
		os.Remove(tmp)
		return proto.IOError(err)
	}
	return nil
}

// writeThrough writes to a file that cannot be replaced: /dev/stderr, a FIFO.
func writeThrough(name string, data []byte) error {
	i, err := os.Stat(name)
	if err != nil || i.Mode().IsRegular() || i.IsDir() {
		return proto.Errorf(proto.Unsafe, "%s is not a file that may be replaced", name)
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return proto.IOError(err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return proto.IOError(err)
	}
	return nil
}
