package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"mesh/proto"
)

// Folder is an open folder. It stays the same folder whatever its path leads to
// later. Close it after use. Its methods may be called by several goroutines.
//
// A name below is one component of a path, unless the method says otherwise.
type Folder struct {
	root   *os.Root
	dir    *os.File // the same folder, for system calls that take a descriptor
	info   fs.FileInfo
	*lacks // of the file system; nil if nobody wants to know

	isExact atomic.Bool // see HasOther
}

// ErrReplaced says that a name leads to something else than a moment before.
var ErrReplaced = proto.Errorf(proto.Unsafe, "it was replaced by something else")

// Open opens the folder at a path, which may be or contain links.
func Open(path string) (*Folder, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return newFolder(root)
}

// OpenRoot opens the folder of root once more. The caller still closes root.
func OpenRoot(root *os.Root) (*Folder, error) {
	again, err := root.OpenRoot(".")
	if err != nil {
		return nil, err
	}
	return newFolder(again)
}

// newFolder takes root over, also when it fails.
func newFolder(root *os.Root) (*Folder, error) {
	dir, err := root.Open(".")
	if err != nil {
		_ = root.Close()
		return nil, err
	}
	info, err := dir.Stat()
	if err != nil {
		_, _ = dir.Close(), root.Close()
		return nil, err
	}
	return &Folder{root: root, dir: dir, info: info}, nil
}

// Close closes the folder.
func (f *Folder) Close() {
	_ = f.dir.Close()
	_ = f.root.Close()
}

// OpenFolder opens a folder in f which Lstat has found there. It follows no
// link: if there is something else by now, the error is [ErrReplaced].
func (f *Folder) OpenFolder(name string, found fs.FileInfo) (*Folder, error) {
	root, err := f.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	sub, err := newFolder(root)
	if err != nil {
		return nil, err
	}
	if !os.SameFile(sub.info, found) {
		sub.Close()
		return nil, ErrReplaced
	}
	sub.lacks = f.lacks
	return sub, nil
}

// Info returns what was known of the folder when it was opened.
func (f *Folder) Info() fs.FileInfo { return f.info }

// Lstat describes what has a name, without following a link.
func (f *Folder) Lstat(name string) (fs.FileInfo, error) { return f.root.Lstat(name) }

// Readlink returns the target of a symbolic link.
func (f *Folder) Readlink(name string) (string, error) { return f.root.Readlink(name) }

// ReadNames returns up to n more names of the folder, in the order of the file
// system, and [io.EOF] at the end.
func (f *Folder) ReadNames(n int) ([]string, error) { return f.dir.Readdirnames(n) }

// OpenSame opens a file for reading which Lstat has found in f. If there is
// something else by now, the error is [ErrReplaced].
func (f *Folder) OpenSame(name string, found fs.FileInfo) (*os.File, error) {
	file, err := f.openRead(name)
	if err != nil {
		return nil, err
	}
	if opened, err := file.Stat(); err != nil || !os.SameFile(found, opened) {
		_ = file.Close()
		return nil, ErrReplaced
	}
	return file, nil
}

// openRead opens a file at a path below f, with slashes. Links below f are
// followed, so the caller must compare what it gets with what it wanted.
func (f *Folder) openRead(path string) (*os.File, error) {
	return f.root.OpenFile(filepath.FromSlash(path), os.O_RDONLY|fileFlags, 0)
}

// Symlink makes a symbolic link. The caller checks where target leads.
func (f *Folder) Symlink(target, name string) error { return f.root.Symlink(target, name) }

// SetTime sets the modification time of the folder itself.
func (f *Folder) SetTime(mtime time.Time) error {
	return f.ignore(lackTime, setTime(f.root, ".", mtime))
}

// Free returns how many bytes can still be stored in the folder, and whether
// that is known.
func (f *Folder) Free() (int64, bool) {
	free, _, ok := space(f.dir)
	return free, ok
}

// Space returns how many bytes the file system of a folder has left for this user, and how
// many it has in all. ok is false if that is not known.
func Space(dir string) (free, size int64, ok bool) {
	f, err := os.Open(dir)
	if err != nil {
		return 0, 0, false
	}
	defer f.Close()
	return space(f)
}

// Sync makes the names in the folder durable, as far as the file system can.
func (f *Folder) Sync() error {
	err := syncFolder(f.dir)
	if proto.IsLacking(err) && syncDisk(f.dir) == nil {
		return nil
	}
	return f.ignore(lackNames, err)
}

// SameDisk reports whether [Folder.SyncDisk] of one of the two folders makes
// durable what is in the other. It is always false where there is no such call.
func (f *Folder) SameDisk(other *Folder) bool { return sameDisk(f.info, other.info) }

// SyncDisk makes everything durable that was written to the file system of the
// folder, by anyone. It waits for all of that. Call it only where
// [Folder.SameDisk] is true. Where there is no such call, the error is
// [errors.ErrUnsupported].
func (f *Folder) SyncDisk() error {
	err := syncDisk(f.dir)
	if proto.IsLacking(err) {
		return errors.ErrUnsupported
	}
	return err
}

// restrictMode takes the permissions away from an open file that perm lacks.
func restrictMode(f *os.File, perm fs.FileMode) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&perm != mode {
		return f.Chmod(mode & perm)
	}
	return nil
}

// Cause returns err without the operation and the file name that package os
// adds. That name may be a temporary one, which tells a user nothing; the caller
// adds the name that the user knows.
func Cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
