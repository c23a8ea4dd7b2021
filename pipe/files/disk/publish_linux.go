package disk

import "golang.org/x/sys/unix"

// renameAt renames within an open folder and replaces nothing. Many file systems lack
// RENAME_NOREPLACE, and return EINVAL.
func renameAt(dir int, from, to string) error {
	return unix.Renameat2(dir, from, dir, to, unix.RENAME_NOREPLACE)
}
