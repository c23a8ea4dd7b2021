package disk

import (
	"slices"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

// hasVagueNumbers reports whether one file of the folder may show a different number
// for each way of writing its name: where another program or machine keeps the files.
func (f *Folder) hasVagueNumbers() bool {
	var s unix.Statfs_t
	err := rawfd.Control(f.dir, func(fd uintptr) error { return unix.Fstatfs(int(fd), &s) })
	return err == nil && slices.Contains([]uint32{
		unix.FUSE_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.V9FS_MAGIC,
	}, uint32(s.Type))
}
