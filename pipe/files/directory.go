package files

import (
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
