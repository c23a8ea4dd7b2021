package disk

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
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

// TempNames counts up names of temporary files. They are shorter than random
// ones, which makes folders of many files faster. If a file of such a name
// exists all the same, creating it fails.
type TempNames struct {
	run  string
	last int
}

// NewTempNames returns names that no other run has.
func NewTempNames() TempNames { return TempNames{run: rand.Text()[:12] + "-"} }

// Next returns the next name.
func (n *TempNames) Next() string {
	n.last++
	return TempName(n.run + strconv.Itoa(n.last))
}

// Temp is a file that does not have its final name yet. It is one of three: open
// under a temporary name, complete and closed under a temporary name, or
// anonymous. End it with [Temp.Close] after it was published, else with
// [Temp.Remove], or with Close alone to keep it for another run.
type Temp struct {
	in   *Folder // stays the caller's, and open as long as the Temp is used
	name string
	file *os.File // nil if the file was written by a [SmallWriter]
	held bool     // file is locked
	anon anonymous
	at   int64 // where Write goes on
}

// CreateTemp creates a file for reading and writing, under a temporary name that
// must not exist. We can read and write it whatever perm is, until
// [Temp.RestrictMode]. The umask is taken away from its mode.
func (f *Folder) CreateTemp(name string, perm fs.FileMode) (*Temp, error) {
	// A file never blocks. The flag only saves the runtime the attempt to wait for
	// it with its poller.
	file, err := f.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|fileFlags, perm|0o600)
	if err != nil {
		return nil, err
	}
	return &Temp{in: f, name: name, file: file}, nil
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
	return &Temp{in: f, name: name, file: file, held: true}, nil
}

// Lock keeps other processes from reopening or removing the open file until it is
// closed. It fails if another process has locked it. Where there are no locks, it does
// nothing, and no other run can reopen the file.
func (t *Temp) Lock() error {
	err := lock(t.file)
	t.held = err == nil
	return t.in.ignore(lackLock, err)
}

// IsLocked reports whether the open file is locked, so that another run may reopen it.
func (t *Temp) IsLocked() bool { return t.held }

// IsOpen reports whether the file holds a descriptor that Write uses.
func (t *Temp) IsOpen() bool { return t.file != nil }

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
	switch {
	case t.file != nil:
		return t.file.Sync()
	case t.anon.isOpen:
		return t.anon.sync()
	}
	f, err := t.in.root.OpenFile(t.name, os.O_RDWR|fileFlags, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Close closes the file and keeps it, unless it is an unpublished anonymous one.
// It may be called more than once. Publish works after it if the file has a
// temporary name.
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
	t, err := f.CreateTemp(RandomTempName(), 0o600)
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
	if err := errors.Join(t.Sync(), t.Close()); err != nil {
		return err
	}
	if err := name(as); err != nil {
		return err
	}
	return errors.Join(t.in.root.Remove(as), t.in.Sync())
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
