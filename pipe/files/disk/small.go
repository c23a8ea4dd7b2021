package disk

import (
	"io/fs"
	"sync"
)

// SmallWriter writes files that are whole in memory. Small files are many, and
// what package os does for each of them takes as long as the system calls, so on
// Linux it makes those itself. It may be used by several goroutines.
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
// anonymous where that is possible, else it has the temporary name. If Write
// fails, nothing is left.
func (w *SmallWriter) Write(in *Folder, name string, perm fs.FileMode, mtime int64, data []byte) (*Temp, error) {
	t := &Temp{in: in, name: name}
	if w.hasAnonymous() && w.base.SameDisk(in) && mayOpenAnonymous() {
		anon, err := writeAnonymous(in, perm, mtime, data)
		t.anon = anon
		return t, err
	}
	return t, writeNamed(in, name, perm, mtime, data)
}
