package files

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"mesh/proto"
)

// folder is one below which is stored. It can be opened again, so that only
// those stay open that something is done in.
type folder struct {
	parent *folder
	name   string
	path   string // on the wire; "" for that where all is stored
	// refused is why nothing is stored in it, if that is so.
	refused proto.Code
	found   fs.FileInfo // what was opened at first
	// made says that we have made it; perm is what it gets at last, then.
	made  bool
	perm  fs.FileMode
	mtime time.Time
	top   *arrival // what it is part of; nil for where all is stored

	mu   *sync.Mutex // one for all folders
	uses int
	root *directory // nil while it is closed
}

// open opens the folder, until close has been called as often. It refuses any
// other folder, or a link, that has come in its place.
func (f *folder) open() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.openLocked()
}

func (f *folder) openLocked() error {
	if f.uses > 0 {
		f.uses++
		return nil
	}
	if err := f.parent.openLocked(); err != nil {
		return err
	}
	defer f.parent.closeLocked()
	info, err := f.parent.root.Lstat(f.name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (!info.IsDir() || f.found != nil && !os.SameFile(info, f.found)) {
		return proto.Errorf(proto.Unsafe, "the folder %q was replaced while it was filled", f.path)
	}
	if err != nil {
		return err
	}
	if f.root, err = openFolder(f.parent.root, f.name, info); err != nil {
		return err
	}
	f.found, f.uses = info, 1
	return nil
}

func (f *folder) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closeLocked()
}

func (f *folder) closeLocked() {
	if f.uses--; f.uses == 0 && f.parent != nil {
		f.root.close()
		f.root = nil
	}
}

// settle gives the folder its mode and its time, when all in it is there.
func (f *folder) settle() error {
	if f.made {
		info, err := f.root.file.Stat()
		if err != nil {
			return err
		}
		if perm := info.Mode().Perm() & f.perm; perm != info.Mode().Perm() {
			if err := f.root.file.Chmod(perm); err != nil {
				return err
			}
		}
	}
	return f.root.Chtimes(".", time.Time{}, f.mtime)
}
