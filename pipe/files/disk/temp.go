package disk

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"mesh/proto"
)

// TempPrefix begins the name of every temporary file. No peer may choose a name
// that begins like it.
const TempPrefix = ".mesh-"

const tempSuffix = ".part"

// TempName returns the name of the temporary file with an id. An id that
// another run can compute lets it find the file again.
func TempName(id string) string { return TempPrefix + id + tempSuffix }

// RandomTempName returns a name that no other temporary file has.
func RandomTempName() string { return TempName(rand.Text()) }

func isTempName(name string) bool {
	return strings.HasPrefix(name, TempPrefix) && strings.HasSuffix(name, tempSuffix)
}

// Temp is a file that does not have its final name yet. It is open under a temporary
// name, or anonymous. While it is open, no other process reopens it or removes it as
// abandoned, where the file system has locks. End it with [Temp.Close] after it was
// published, else with [Temp.Remove], or with Close alone to keep it for another run.
type Temp struct {
	in      *Folder // stays the caller's, and open as long as the Temp is used
	name    string
	file    *os.File // nil if the file is anonymous
	lockErr error    // why file is not locked: the file system has no locks
	whole   bool     // written by a [SmallWriter]
	anon    anonymous
	at      int64 // where Write goes on
}

// createAttempts bounds how often a random name is chosen. A name is lost only if
// [RemoveAbandoned] comes between the creation of the file and its lock. Where that runs
// again and again on a busy machine, ten in a row were lost.
const createAttempts = 100

// CreateRandomTemp is [Folder.CreateTemp] with a random name.
func (f *Folder) CreateRandomTemp(perm fs.FileMode) (t *Temp, err error) {
	for range createAttempts {
		if t, err = f.CreateTemp(RandomTempName(), perm); !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return t, err
}

// CreateTemp creates and locks a file for reading and writing, under a temporary name.
// If that exists, or another process takes the file before it is locked, the error is
// [fs.ErrExist]. We can read and write the file whatever perm is, until
// [Temp.RestrictMode]. The umask is taken away from its mode.
func (f *Folder) CreateTemp(name string, perm fs.FileMode) (*Temp, error) {
	// A file never blocks. The flag only saves the runtime the attempt to wait for
	// it with its poller.
	file, err := f.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|fileFlags, perm|0o600)
	if err != nil {
		return nil, err
	}
	t := &Temp{in: f, name: name, file: file}
	t.lockErr = lock(file)
	if info, err := file.Stat(); err != nil || isRemoved(info) || t.lockErr != nil && !proto.IsLacking(t.lockErr) {
		_ = file.Close() // the name is no longer ours to remove
		return nil, fs.ErrExist
	}
	return t, nil
}

// RecreateTemp is [Folder.CreateTemp], but replaces a file of that name which another
// run has left.
func (f *Folder) RecreateTemp(name string, perm fs.FileMode) (*Temp, error) {
	if left, err := f.ReopenTemp(name); err == nil {
		if err := left.Remove(); err != nil {
			return nil, err
		}
	}
	return f.CreateTemp(name, perm)
}

// RemoveSecondName removes a temporary name that leads to the same file as another name
// in the folder, which info describes. linkAndRemove leaves it if it is interrupted.
func (f *Folder) RemoveSecondName(temp string, info fs.FileInfo) {
	if !hasHardLinks(info) {
		return
	}
	if second, err := f.root.Lstat(temp); err == nil && os.SameFile(second, info) {
		_ = f.root.Remove(temp)
	}
}

// ReopenTemp opens and locks a temporary file that another run has left. It
// fails if the file is not ours alone: a link, a file with a second name, one of
// another user, or one that another process has locked.
func (f *Folder) ReopenTemp(name string) (*Temp, error) {
	found, err := f.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !found.Mode().IsRegular() {
		return nil, proto.Errorf(proto.Unsafe, "%s is not a regular file", name)
	}
	file, err := f.root.OpenFile(name, os.O_RDWR|fileFlags, 0)
	if errors.Is(err, fs.ErrPermission) && isOwnedAlone(found) { // a whole file has the sender's mode
		if err = f.root.Chmod(name, found.Mode().Perm()|0o600); err == nil {
			file, err = f.root.OpenFile(name, os.O_RDWR|fileFlags, 0)
		}
	}
	if err != nil {
		return nil, err
	}
	opened, err := file.Stat()
	if err == nil && (!os.SameFile(found, opened) || !isOwnedAlone(opened)) {
		err = proto.Errorf(proto.Unsafe, "%s has another owner or another name", name)
	}
	if err == nil {
		err = lock(file)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &Temp{in: f, name: name, file: file}, nil
}

// IsResumable reports whether another run may reopen the file: it is locked. Where there
// are no locks, that is reported as a lack.
func (t *Temp) IsResumable() bool {
	_ = t.in.ignore(lackLock, t.lockErr)
	return t.lockErr == nil
}

// IsLarge reports whether the file is open and was not written by a [SmallWriter].
func (t *Temp) IsLarge() bool { return t.file != nil && !t.whole }

// Stat describes the file, which is open or anonymous.
func (t *Temp) Stat() (fs.FileInfo, error) {
	if t.anon.isOpen {
		return t.anon.stat()
	}
	return t.file.Stat()
}

// Size returns the size of the open file.
func (t *Temp) Size() (int64, error) {
	info, err := t.file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Read reads on in the open file.
func (t *Temp) Read(p []byte) (int, error) { return t.file.Read(p) }

// Truncate cuts the open file to a length. Write goes on from there.
func (t *Temp) Truncate(length int64) error {
	if err := t.file.Truncate(length); err != nil {
		return err
	}
	t.at = length
	_, err := t.file.Seek(length, io.SeekStart)
	return err
}

// RestrictMode takes the permissions away from the open file that perm lacks. It
// adds none.
func (t *Temp) RestrictMode(perm fs.FileMode) error {
	if perm&0o600 == 0o600 {
		return nil // the file was created with perm
	}
	return t.in.ignore(lackMode, restrictMode(t.file, perm))
}

// SetTime sets the modification time of the file with a temporary name.
func (t *Temp) SetTime(mtime time.Time) error {
	return t.in.ignore(lackTime, setTime(t.in.root, t.name, mtime))
}

// StartSync begins to write the open file to the disk and does not wait, so that
// many files reach the disk together. It is no more than a hint.
func (t *Temp) StartSync() {
	if t.file != nil {
		startSync(t.file)
	}
}

// Sync makes durable what the file holds. Its name may still be lost.
func (t *Temp) Sync() error {
	err := t.sync()
	if proto.IsLacking(err) && syncDisk(t.in.dir) == nil {
		return nil
	}
	return err
}

func (t *Temp) sync() error {
	if t.anon.isOpen {
		return t.anon.sync()
	}
	return t.file.Sync()
}

// Close closes the file and keeps it, unless it is an unpublished anonymous one.
// It may be called more than once.
func (t *Temp) Close() error {
	if t.anon.isOpen {
		t.anon.close()
		t.anon.isOpen = false
	}
	if t.file == nil {
		return nil
	}
	err := t.file.Close()
	t.file = nil
	return err
}

// Remove closes and removes a file that was not published.
func (t *Temp) Remove() error {
	unnamed := t.anon.isOpen
	err := t.Close()
	if unnamed {
		return err
	}
	return errors.Join(err, t.in.root.Remove(t.name))
}

// Probe fails if no file can be created, made durable and given a name in the folder,
// with [Temp.Replace] if replace is set. A full disk is no failure: there may be room by
// the time that it is needed.
func (f *Folder) Probe(replace bool) error {
	t, err := f.CreateRandomTemp(0o600)
	if err == nil {
		name := t.Publish
		if replace {
			name = t.Replace
		}
		if err = t.probe(name, RandomTempName()); err != nil {
			_ = t.Remove()
		}
	}
	if proto.CodeOf(proto.IOError(err)) == proto.Space {
		return nil
	}
	return err
}

// probe stores the file under a temporary name, and removes it.
func (t *Temp) probe(name func(string) error, as string) error {
	if _, err := t.Write([]byte{'\n'}); err != nil {
		return err
	}
	if err := t.Sync(); err != nil {
		return err
	}
	if err := name(as); err != nil {
		return err
	}
	return errors.Join(t.in.root.Remove(as), t.Close(), t.in.Sync())
}

// CheckWritable is [Folder.Probe] of the folder at a path.
func CheckWritable(path string) error {
	f, err := Open(path)
	if err == nil {
		defer f.Close()
		err = f.Probe(false)
	}
	if err != nil {
		return proto.IOError(fmt.Errorf("store in %s: %w", path, Cause(err)))
	}
	return nil
}
