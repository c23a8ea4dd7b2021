package disk

import (
	"io/fs"
	"os"
)

// othersWrite are the permissions that an unfinished folder gives to nobody.
const othersWrite = 0o022

// IsUnfinished reports whether a folder of ours still has the mark of
// [Folder.MkdirUnfinished]: a run that was killed has not finished it. The mark is a
// sticky bit, which means nothing in a folder that no other user may write.
func IsUnfinished(info fs.FileInfo) bool {
	return info.IsDir() && info.Mode()&fs.ModeSticky != 0 && info.Mode().Perm()&(0o700|othersWrite) == 0o700 && isOwned(info)
}

// MkdirUnfinished makes a folder that we can fill whatever perm is, until
// [Folder.Finish]. Until then it has a mark, where the system lets us make one.
func (f *Folder) MkdirUnfinished(name string, perm fs.FileMode) error {
	if _, known := umask(); known {
		err := mkdirSticky(f, name, perm&^othersWrite|0o700)
		if err == nil || os.IsExist(err) {
			return err
		}
	}
	return f.root.Mkdir(name, perm|0o700)
}

// MakeWritable makes an open folder of ours writable that has no permission to write,
// with the same mark. It reports whether it did.
func (f *Folder) MakeWritable() bool {
	if _, known := umask(); !known || f.info.Mode()&0o200 != 0 || !isOwned(f.info) {
		return false
	}
	return f.dir.Chmod(f.info.Mode()&fs.ModeSetgid|fs.ModeSticky|f.info.Mode().Perm()&^othersWrite|0o700) == nil
}

// Finish takes the mark from an open folder, and the permissions that perm lacks. It
// adds none but those that the mark has kept away, less the umask.
func (f *Folder) Finish(perm fs.FileMode) error {
	info, err := f.dir.Stat()
	if err != nil {
		return err
	}
	mode := info.Mode().Perm()
	want := mode & perm
	if IsUnfinished(info) {
		if mask, known := umask(); known {
			want |= perm & othersWrite &^ mask
		}
	} else if want == mode {
		return nil
	}
	return f.ignore(lackMode, f.dir.Chmod(info.Mode()&fs.ModeSetgid|want))
}
