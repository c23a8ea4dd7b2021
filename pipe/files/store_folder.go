package files

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"mesh/pipe/files/disk"
	"mesh/proto"
)

// folder is a folder in which the receiver stores. It can be closed and opened
// again, so that only those are open that are in use.
type folder struct {
	parent *folder // nil for the destination
	name   string
	path   string // on the wire; "" for the destination
	// refused is why nothing is stored in the folder, 0 if it can be used.
	refused proto.Code
	found   fs.FileInfo // of the folder that was opened first
	// fresh says that this run has made the folder, and made, that this or another one
	// has and it was not finished, or that it is ours and as read-only as the sender's.
	// Only then it gets perm and mtime at the end.
	fresh bool
	made  bool
	perm  fs.FileMode
	mtime time.Time
	top   *arrival // the folder below the destination that it is in, or is; nil for the destination

	latest int64 // see takesTime

	mu   *sync.Mutex // one for all folders of a transfer
	uses int
	disk *disk.Folder // nil while it is closed
	idle bool         // it is in a folderStack, and not open there
}

// openDestination returns the folder that root has open, as the one that all
// others are in. Its first use lasts until closeDestination.
func openDestination(root *os.Root) (*folder, error) {
	d, err := disk.OpenRoot(root)
	if err != nil {
		return nil, proto.IOError(err)
	}
	latest := time.Now()
	if its := d.Info().ModTime(); its.After(latest) { // the disk may be another machine's, with its own clock
		latest = its
	}
	return &folder{disk: d, uses: 1, found: d.Info(), mu: new(sync.Mutex), latest: latestTime(latest)}, nil
}

// pathOf returns the path of what has a name in the folder, from the destination on.
func (f *folder) pathOf(name string) string {
	if f.path == "" {
		return name
	}
	return f.path + "/" + name
}

// takesTime reports whether a modification time that a peer has sent is set.
func (f *folder) takesTime(mtime int64) bool { return isPlausible(mtime, f.latest) }

// latestTime returns the latest modification time that is taken from a peer: a day ahead.
func latestTime(now time.Time) int64 { return now.Add(24 * time.Hour).UnixNano() }

// isPlausible reports whether a modification time, in nanoseconds since 1970, is taken
// from a peer: none before 1970 is, nor one behind the latest.
func isPlausible(mtime, latest int64) bool { return mtime >= 0 && mtime <= latest }

func (f *folder) closeDestination() { f.disk.Close() }

// open opens the folder. Each open needs a close. If a link or another folder has
// taken its place, the error has the code [proto.Unsafe].
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
	info, err := f.parent.disk.Lstat(f.name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (!info.IsDir() || f.found != nil && !os.SameFile(info, f.found)) {
		return proto.Errorf(proto.Unsafe, "the folder %q was replaced while it was filled", f.path)
	}
	if err != nil {
		return err
	}
	if f.disk, err = f.parent.disk.OpenFolder(f.name, info); err != nil {
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
		f.disk.Close()
		f.disk = nil
	}
}

// setAttributes gives the open folder its mode and its time, unless it was there
// already. It must be called after all in it is stored, since that changes the time.
func (f *folder) setAttributes() error {
	if !f.made {
		return nil
	}
	if f.takesTime(f.mtime.UnixNano()) {
		if err := f.disk.SetTime(f.mtime); err != nil {
			return err
		}
	}
	return f.disk.Finish(f.perm) // last: after a crash before it, the next run finishes the folder
}

// protect makes an open folder read-only again that was so before the transfer, which
// has failed. One that the transfer has made stays unfinished, for the next.
func (f *folder) protect() {
	if f.made && !f.fresh && f.perm&0o200 == 0 {
		_ = f.disk.Finish(f.perm)
	}
}
