package disk

import "golang.org/x/sys/unix"

// renameAt renames within an open folder and replaces nothing. Not every file system
// has RENAME_EXCL.
func renameAt(dir int, from, to string) error {
	return unix.RenameatxNp(dir, from, dir, to, unix.RENAME_EXCL)
}
