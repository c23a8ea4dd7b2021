package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"mesh/proto"
)

// directory is a folder, open in both ways: what is done by name in it is done
// through the root, or in one component of a path through the file.
type directory struct {
	*os.Root
	file *os.File
}

// newDirectory takes the root over.
func newDirectory(root *os.Root) (*directory, error) {
	file, err := root.Open(".")
	if err != nil {
		_ = root.Close()
		return nil, err
	}
	return &directory{root, file}, nil
}

func (d *directory) close() {
	_ = d.file.Close()
	_ = d.Root.Close()
}

// CheckStore wants to be able to store in a folder: it makes a file of ours there,
// and takes it away. A full disk is told when something comes: there may be room by
// then.
func CheckStore(dir string) error {
	err := func() error {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return err
		}
		defer root.Close()
		temps := newTemps()
		name := temps.next()
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		return errors.Join(f.Close(), root.Remove(name))
	}()
	if err == nil || proto.CodeOf(proto.IOError(err)) == proto.Space {
		return nil
	}
	return proto.IOError(fmt.Errorf("store in %s: %w", dir, cause(err)))
}

// openFolder opens a folder in another one, which Lstat has found there, and
// follows no link.
func openFolder(in *directory, name string, found fs.FileInfo) (*directory, error) {
	root, err := in.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	d, err := newDirectory(root)
	if err != nil {
		return nil, err
	}
	info, err := d.file.Stat()
	if err == nil && !os.SameFile(info, found) {
		err = proto.Errorf(proto.Unsafe, "a folder was replaced by something else")
	}
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// sync makes the names in it durable.
func (d *directory) sync() error { return syncFolder(d.file) }
