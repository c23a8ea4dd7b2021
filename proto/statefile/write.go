package statefile

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/lockedfile"
	"github.com/rogpeppe/go-internal/robustio"

	"mesh/proto"
)

const (
	fileMode   = 0o600
	folderMode = 0o700
	// lockFile is locked while a file beside it is changed. Its content is empty.
	lockFile = ".mesh.lock"
)

// Edit replaces the file at path by what f returns for its content, which is at most
// limit bytes; nil if there is no file. A lock keeps other processes out meanwhile. When
// Edit returns nil the change is on the disk. When it fails, the file is the old one,
// or the new one if only its name could not be made durable. A new file has mode 0600,
// and the folder is created. An error of f is returned as it is.
func Edit(path string, limit int64, f func(old []byte) ([]byte, error)) error {
	if err := MakeFolder(filepath.Dir(path)); err != nil {
		return Failed(err)
	}
	file, _, err := Find(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	unlock, err := lock(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer unlock()
	old, perm, exists, err := readForEdit(file, limit)
	if err != nil {
		return err
	}
	text, err := f(old)
	switch {
	case err != nil:
		return err
	case bytes.Equal(text, old) && !exists:
		return nil
	case bytes.Equal(text, old): // an earlier change may have failed to become durable
		return Failed(errors.Join(syncFile(file), SyncFolder(filepath.Dir(file))))
	}
	temp := filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".tmp")
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) { // left by a process that was killed
		return Failed(named(err, file))
	}
	return Failed(replace(file, temp, func() error { return create(temp, text, perm, true) }))
}

// lock locks the files in the folder dir.
func lock(dir string) (unlock func(), err error) {
	path := filepath.Join(dir, lockFile)
	if err := Check(dir, lockFile); err != nil {
		return nil, err
	}
	f, err := lockedfile.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode)
	if e, ok := errors.AsType[*fs.PathError](err); ok && strings.Contains(e.Op, "ock") && proto.IsLacking(err) {
		return func() {}, nil // the file system has no locks: two edits at once may lose one
	}
	if err != nil {
		return nil, Failed(err)
	}
	return func() { _ = f.Close() }, nil
}

// readForEdit opens file for writing, so that a file that is write-protected is not
// replaced, and reads it.
func readForEdit(file string, limit int64) (text []byte, perm fs.FileMode, exists bool, err error) {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fileMode, false, nil
	}
	if err != nil {
		return nil, 0, false, Failed(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, false, Failed(err)
	}
	text, err = readAll(f, file, limit)
	return text, info.Mode().Perm(), true, err
}

// Write replaces the file at path, or creates it, with mode perm (before umask). When
// it returns nil, the file is on the disk.
func Write(path string, text []byte, perm fs.FileMode) error {
	temp := TempName(path)
	return replace(path, temp, func() error { return create(temp, text, perm, false) })
}

// TempName returns a new name for a temporary file that is to become path.
func TempName(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+rand.Text()[:8]+".tmp")
}

// replace calls create, which makes temp, and renames that to path.
func replace(path, temp string, create func() error) error {
	if err := create(); err != nil {
		return named(err, path)
	}
	if err := robustio.Rename(temp, path); err != nil {
		_ = os.Remove(temp)
		return named(err, path)
	}
	return SyncFolder(filepath.Dir(path))
}

// create writes a new file and syncs it. It leaves none behind when it fails. With
// exact the mode does not depend on the umask.
func create(name string, text []byte, perm fs.FileMode, exact bool) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	if exact {
		if err = f.Chmod(perm); proto.IsLacking(err) { // the file system keeps no modes
			err = nil
		}
	}
	if err == nil {
		_, err = f.Write(text)
	}
	if err == nil {
		err = SyncData(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(name)
	}
	return err
}

func syncFile(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(SyncData(f), f.Close())
}

// SyncData syncs a file, where the file system can do that.
func SyncData(f *os.File) error {
	err := f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// MakeFolder creates the folder dir, with mode 0700, and those that lead to it. Their
// names are on the disk when it returns nil.
func MakeFolder(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := MakeFolder(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncFolder(filepath.Dir(dir))
}

// SyncFolder puts the names in the folder dir on the disk, where the system can do
// that for a folder. A folder that this user may write but not read cannot be synced.
func SyncFolder(dir string) error {
	if !foldersSync {
		return nil
	}
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(SyncData(f), f.Close())
}

// RenameNew renames a state file where there are no hard links. If path exists, the
// error is [fs.ErrExist]. Between two processes the lock decides; no other program
// makes such a file.
func RenameNew(temp, path string) error {
	unlock, err := lock(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Lstat(path); err == nil {
		return fs.ErrExist
	}
	return os.Rename(temp, path)
}
