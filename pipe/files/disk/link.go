package disk

import (
	"io/fs"
	"os"
)

// Link gives a file in f that info describes a name in another folder, too. If something
// has that name, the error is [fs.ErrExist]. If the name in f leads to another file by
// then, or to a changed one, the error is [ErrReplaced]. Where there are no hard links
// between the two folders, the error is another one.
func (f *Folder) Link(name string, info fs.FileInfo, in *Folder, as string) error {
	if now, err := f.Lstat(name); err != nil || !isUnchanged(now, info) {
		return ErrReplaced
	}
	if err := linkBetween(f, name, in, as); err != nil {
		return err
	}
	if now, err := in.Lstat(as); err != nil || !isUnchanged(now, info) { // replaced since the first look
		_ = in.root.Remove(as)
		return ErrReplaced
	}
	return nil
}

// isUnchanged reports whether a file is the one that info describes, with its size and time.
func isUnchanged(now, info fs.FileInfo) bool {
	return now.Mode().IsRegular() && os.SameFile(now, info) && now.Size() == info.Size() && now.ModTime().Equal(info.ModTime())
}
