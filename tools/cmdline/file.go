package cmdline

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mesh/pipe/files"
	"mesh/proto"
)

// WriteFile creates the file name whole: who can see it sees all of data. It
// writes a temporary beside it and renames that, replacing a regular file. A
// device or a FIFO is written to; a link to a regular file is refused.
func WriteFile(name string, data []byte, perm os.FileMode) error {
	if i, err := os.Lstat(name); err == nil && !i.Mode().IsRegular() {
		return writeThrough(name, data)
	}
	tmp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+"."+rand.Text()[:8]+".tmp")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			pe.Path = name // the person knows this one
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

// writeThrough writes to what cannot be replaced: /dev/stderr, a FIFO.
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

// CheckFolder wants dir to be a folder that is there and that files can be stored
// in. It is not made: a slip of the pen would take a whole delivery elsewhere.
func CheckFolder(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		hint := fmt.Sprintf("mkdir -p %q", dir)
		if slices.Contains(strings.Split(filepath.ToSlash(dir), "/"), "~") { // quoted, or in config.toml
			hint = "~ stands for a home in a shell alone: write its path"
		}
		return proto.Hint(proto.Errorf(proto.IO, "there is no folder %s", dir), hint)
	}
	if err != nil {
		return proto.IOError(err)
	}
	if !info.IsDir() {
		return proto.Errorf(proto.Unsafe, "%s is not a folder", dir)
	}
	return files.CheckStore(dir)
}
