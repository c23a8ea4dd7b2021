package disk

import (
	"io/fs"
	"os"

	"mesh/proto"
)

// File is a file that is read and must stay what Lstat found.
type File struct {
	*os.File
	found fs.FileInfo
}

// ErrChanged says that a file is no longer what Lstat found: another file, or
// one of another size or modification time.
var ErrChanged = proto.Errorf(proto.Changed, "it changed while it was sent")

// ErrNoSize says that a file holds more than its size says, and that its size says
// nothing: a file of /proc, for example.
var ErrNoSize = proto.Errorf(proto.IO, "its size is not known before it is read to its end: mesh-cat PEER < FILE sends it")

// OpenUnchanged opens a file for reading at a path below f, with slashes. If it
// is not the regular file that Lstat found, or is gone, the error is
// [ErrChanged].
func (f *Folder) OpenUnchanged(path string, found fs.FileInfo) (*File, error) {
	opened, err := f.openRead(path)
	if os.IsNotExist(err) {
		return nil, ErrChanged
	}
	if err != nil {
		return nil, proto.IOError(Cause(err))
	}
	file := &File{opened, found}
	if err := file.CheckUnchanged(); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// CheckUnchanged fails with [ErrChanged] if the open file is not what Lstat
// found any more.
func (f *File) CheckUnchanged() error {
	now, err := f.Stat()
	if err != nil {
		return proto.IOError(Cause(err))
	}
	if !now.Mode().IsRegular() || !os.SameFile(now, f.found) || now.Size() != f.found.Size() || !now.ModTime().Equal(f.found.ModTime()) {
		return ErrChanged
	}
	return nil
}

// OpenFile opens the file at a path for reading. It does not wait if that is a FIFO.
func OpenFile(path string) (*os.File, error) { return os.OpenFile(path, os.O_RDONLY|fileFlags, 0) }
