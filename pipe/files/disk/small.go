package disk

import (
	"errors"
	"io/fs"
	"sync"
	"time"
)

// SmallWriter writes files that are whole in memory. Small files are many, and
// what package os does for each of them takes as long as the system calls, so where there
// are anonymous files it makes those itself. It may be used by several goroutines.
type SmallWriter struct {
	base         *Folder
	hasAnonymous func() bool
}

// NewSmallWriter returns a writer for files below base, which must stay open.
// The temporary name probe must be free there: the first write finds out with it
// whether base's file system has anonymous files.
func NewSmallWriter(base *Folder, probe string) *SmallWriter {
	return &SmallWriter{base, sync.OnceValue(func() bool { return canMakeAnonymous(base, probe) })}
}

// Write writes a file in a folder with its mode, from which the umask is taken
// away, and its modification time in nanoseconds since 1970. The file is
// anonymous where that is possible, else it has the temporary name, which Write asks
// for only then; it replaces what another run has left under that name. If Write fails,
// nothing is left.
func (w *SmallWriter) Write(in *Folder, name func() string, perm fs.FileMode, mtime int64, data []byte) (*Temp, error) {
	if w.hasAnonymous() && w.base.SameDisk(in) {
		anon, err := writeAnonymous(in, perm, mtime, data)
		return &Temp{in: in, anon: anon}, err
	}
	t, err := in.RecreateTemp(name(), perm)
	if errors.Is(err, fs.ErrExist) {
		t, err = in.CreateRandomTemp(perm)
	}
	if err != nil {
		return nil, err
	}
	t.whole = true
	if err := t.writeWhole(perm, mtime, data); err != nil {
		_ = t.Remove()
		return nil, err
	}
	return t, nil
}

func (t *Temp) writeWhole(perm fs.FileMode, mtime int64, data []byte) error {
	if _, err := t.file.Write(data); err != nil {
		return err
	}
	if err := t.RestrictMode(perm); err != nil {
		return err
	}
	return t.SetTime(time.Unix(0, mtime))
}
