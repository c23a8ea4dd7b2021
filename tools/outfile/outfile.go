// Package outfile creates small files and symbolic links under a temporary name and
// renames them. A reader of the name finds the old or the new one, never a part.
package outfile

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"mesh/proto"
)

// Write replaces the regular file name, or creates it, with mode perm (before
// umask). Data is on the disk before the name is there. A device or a FIFO cannot
// be replaced, so it is written to. Anything else under that name, also a symbolic
// link to a regular file, is an error with code [proto.Unsafe].
func Write(name string, data []byte, perm os.FileMode) error {
	if i, err := os.Lstat(name); err == nil && !i.Mode().IsRegular() {
		return writeThrough(name, data)
	}
	err := replace(name, func(temp string) error { return create(temp, data, perm) })
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		pe.Path = name // the user does not know the temporary name
	}
	if err != nil {
		return proto.IOError(err)
	}
	return nil
}

// Symlink makes the symbolic link name, or replaces what has that name, in one
// step: there is a link at any time.
func Symlink(target, name string) error {
	return replace(name, func(temp string) error { return os.Symlink(target, temp) })
}

// replace calls create with a temporary name in the folder of name, and renames
// what that has made.
func replace(name string, create func(temp string) error) error {
	temp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+"."+rand.Text()[:8]+".tmp")
	if err := create(temp); err != nil {
		return err
	}
	if err := os.Rename(temp, name); err != nil {
		os.Remove(temp)
		return err
	}
	return nil
}

// create writes a new file and syncs it. It leaves none behind when it fails.
func create(name string, data []byte, perm os.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(name)
	}
	return err
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
