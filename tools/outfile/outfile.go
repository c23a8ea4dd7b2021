// Package outfile creates small files and symbolic links under a temporary name and
// renames them. A reader of the name finds the old or the new one, never a part.
package outfile

import (
	"errors"
	"io/fs"
	"os"

	"mesh/proto"
	"mesh/proto/statefile"
)

// Write replaces the regular file name, or creates it, with mode perm (before
// umask). It is on the disk when Write returns nil. A device or a FIFO cannot
// be replaced, so it is written to. Anything else under that name, also a symbolic
// link to a regular file, is an error with code [proto.Unsafe].
func Write(name string, data []byte, perm os.FileMode) error {
	if i, err := os.Lstat(name); err == nil && !i.Mode().IsRegular() {
		return writeThrough(name, data)
	}
	if err := statefile.Write(name, data, perm); err != nil {
		return proto.IOError(err)
	}
	return nil
}

// WriteSecret is [Write] for a file that other users must not read, with mode 0600. It
// writes to nothing but a regular file of this user: what reads a FIFO or a device is
// not known, and another user could read a file of theirs.
func WriteSecret(name string, data []byte) error {
	info, err := os.Lstat(name)
	if err == nil {
		err = CheckSecret(name, info)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return proto.IOError(err)
	}
	return Write(name, data, 0o600)
}

// CheckSecret returns an error with code [proto.Unsafe] unless a file is a regular one
// of this user.
func CheckSecret(name string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return proto.Errorf(proto.Unsafe, "%s is not a regular file, so other users could read the token", name)
	}
	if of, ok := statefile.Stranger(info); ok {
		return proto.Errorf(proto.Unsafe, "%s belongs to user %d, who could read the token", name, of)
	}
	return nil
}

// Symlink makes the symbolic link name, or replaces what has that name, in one
// step: there is a link at any time.
func Symlink(target, name string) error {
	temp := statefile.TempName(name)
	if err := os.Symlink(target, temp); err != nil {
		return err
	}
	if err := os.Rename(temp, name); err != nil {
		_ = os.Remove(temp)
		return err
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
