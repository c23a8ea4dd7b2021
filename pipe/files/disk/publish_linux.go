package disk

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

// renameNew renames a file in a folder. If the new name exists, the error is
// [fs.ErrExist]. File systems without RENAME_NOREPLACE return EINVAL.
func renameNew(in *Folder, from, to string) error {
	err := rawfd.Control(in.dir, func(fd uintptr) error {
		return unix.Renameat2(int(fd), from, int(fd), to, unix.RENAME_NOREPLACE)
	})
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return linkAndRemove(in, from, to)
	}
	if err == unix.EEXIST {
		return fs.ErrExist
	}
	return err
}
