package files

import (
	"errors"
	"os"
	"strings"
	"time"

	"mesh/pipe/files/disk"
	"mesh/proto"
	"mesh/proto/wire"
)

// folderStack is the destination, and below it the folders that the last entry is
// in. Those that are neither refused nor idle are open.
type folderStack []*folder

// push adds an open or refused folder. Where few files may be open, the one that it is in
// becomes idle.
func (s *folderStack) push(f *folder) {
	if in := s.top(); isShortOfFiles() && in.parent != nil && in.refused == 0 && !in.idle {
		in.idle = true
		in.close()
	}
	*s = append(*s, f)
}

// pop removes the innermost folder, which stays open or idle.
func (s *folderStack) pop() *folder {
	f := s.top()
	*s = (*s)[:len(*s)-1]
	return f
}

// top returns the innermost folder.
func (s folderStack) top() *folder { return s[len(s)-1] }

// arrivalOf returns what the entry at a path is part of, nil if that is nothing
// that can arrive.
func (s folderStack) arrivalOf(path string) *arrival {
	if len(s) > 1 && strings.HasPrefix(path, s[1].path+"/") {
		return s[1].top
	}
	return nil
}

// closeAll closes all folders but the destination.
func (s *folderStack) closeAll() {
	for len(*s) > 1 {
		if f := s.pop(); f.refused == 0 && f.wake() == nil {
			f.protect()
			f.close()
		}
	}
}

// wake opens the folder if it is idle.
func (f *folder) wake() error {
	if !f.idle {
		return nil
	}
	err := f.open()
	f.idle = err != nil
	return err
}

// makeFolder makes a folder in an open one, or opens one that is there.
func makeFolder(m *wire.Entry, in *folder, name string, open func(*folder) error) (*folder, error) {
	f := &folder{parent: in, name: name, path: m.Path, mtime: time.Unix(0, m.Mtime), perm: modeOf(m), mu: in.mu, latest: in.latest}
	err := in.disk.MkdirUnfinished(name, f.perm)
	switch {
	case err == nil:
		f.fresh, f.made = true, true
	case !errors.Is(err, os.ErrExist):
		return nil, refuseUnlessFull(m.Path, err)
	default:
		info, err := in.disk.Lstat(name)
		if err == nil && !info.IsDir() {
			return nil, refuse(ErrIsThere)
		}
		f.made = err == nil && disk.IsUnfinished(info) // by a run that was killed
	}
	if err := open(f); err != nil {
		return nil, refuse(err)
	}
	if f.perm&0o200 == 0 && !f.made {
		f.made = f.disk.MakeWritable() // the sender's mode made it read-only
	}
	if f.top = in.top; f.top == nil {
		f.top = &arrival{all: Arrival{Name: name, Folder: true}}
	}
	return f, nil
}

// refusedFolder stands for a folder that is not stored, since entries in it may
// follow.
func refusedFolder(m *wire.Entry, in *folder, name string, code proto.Code) *folder {
	return &folder{parent: in, name: name, path: m.Path, refused: code, mu: in.mu}
}

// makeSymlink makes a symbolic link in an open folder.
func makeSymlink(m *wire.Entry, in *folder, name string) error {
	err := in.disk.Symlink(m.Target, name)
	switch {
	case errors.Is(err, os.ErrExist):
		return refuse(ErrIsThere)
	case err != nil:
		return refuseUnlessFull(m.Path, err)
	}
	return nil
}

// leaveFile takes a file that is done off the queue, if it had to wait there, and
// completes the folders behind it.
func (r *receiver) leaveFile(w *wanted) error {
	if r.queue.first() != w {
		return nil
	}
	for _, f := range r.queue.popFile() {
		if err := r.completeFolder(f, r.openFolder(f)); err != nil {
			return err
		}
	}
	return nil
}

// completeFolder hands over a folder that is complete, or refuses it if it could not be
// opened.
func (r *receiver) completeFolder(f *folder, err error) error {
	switch {
	case err == nil:
		r.store.addFolder(f)
		return nil
	case endsTransfer(err):
		return errStoring(f.path, err)
	}
	return r.refuseLate(f, f.path, err)
}

// openFolder is [folder.open].
func (r *receiver) openFolder(f *folder) error { return r.store.retry(f.open(), f.open) }

// wakeFolder is [folder.wake].
func (r *receiver) wakeFolder(f *folder) error {
	if !f.idle {
		return nil
	}
	return r.store.retry(f.wake(), f.wake)
}

// leaveFolder leaves the innermost folder. It is complete when no file waits.
func (r *receiver) leaveFolder() error {
	f := r.folders.pop()
	switch {
	case f.refused != 0:
		return nil
	case r.queue.first() == nil:
		return r.completeFolder(f, r.wakeFolder(f))
	}
	if !f.idle {
		f.close()
	}
	f.idle = false
	return r.queue.pushFolder(f)
}
