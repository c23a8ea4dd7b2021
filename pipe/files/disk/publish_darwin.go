package disk

import (
	"io/fs"

	"golang.org/x/sys/unix"

	"mesh/proto"
	"mesh/proto/rawfd"
)

// renameNew renames a file in a folder. If the new name exists, the error is
// [fs.ErrExist]. Not every file system has RENAME_EXCL.
func renameNew(in *Folder, from, to string) error {
	err := rawfd.Control(in.dir, func(fd uintptr) error {
		return unix.RenameatxNp(int(fd), from, int(fd), to, unix.RENAME_EXCL)
	})
	if proto.IsLacking(err) {
		return linkAndRemove(in, from, to)
	}
	if err == unix.EEXIST {
		return fs.ErrExist
	}
	return err
}
