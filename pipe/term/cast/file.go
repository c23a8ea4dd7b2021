package cast

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"mesh/proto"
)

const (
	// syncEvery is how much of a recording a power failure may take.
	syncEvery = 5 * time.Second
	// retryEvery is the time between two tries of what could not be written.
	retryEvery = time.Second
	// stallTime is how long a disk that takes nothing may hold the session up, once;
	// maxBehind is how many bytes it may be behind before it does.
	stallTime = time.Second
	maxBehind = 4 << 20
)

// disk is what a recording is written to: an [os.File], or a test's.
type disk interface {
	Write(p []byte) (int, error)
	Sync() error
	Close() error
}

// File is a recording on disk, for [NewWriter], or another file of lines. A goroutine
// writes it, so that a slow disk holds nothing up; the bytes of one Write are in it
// whole or not at all, but for a part of the last one when the process is killed or
// the disk stays full.
type File struct {
	d          disk
	quit       chan struct{} // closed by Close
	wrote, end chan struct{} // closed by the goroutines that write, and sync

	mu      sync.Mutex
	changed sync.Cond // on mu
	waiting []byte    // to be written
	taken   int       // bytes that are being written
	failed  error     // the last try to write did
	stalled bool      // waited for in vain, and not caught up since
	dirty   bool      // written, and not synced
	lost    error     // the first failure of Sync: the next one would not tell of it
	closed  bool
}

// Create makes the file, with mode 0600. A name that is taken is [proto.Unsafe].
// What is written is durable within about 5 s, and after Close.
func Create(name string) (*File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, &proto.Error{Code: proto.Unsafe, Err: err}
	}
	if err != nil {
		return nil, proto.IOError(err)
	}
	return newFile(f), nil
}

// Append is [Create] for a file that may be there, which lines are added to.
func Append(name string) (*File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, proto.IOError(err)
	}
	return newFile(f), nil
}

func newFile(d disk) *File {
	f := &File{d: d, quit: make(chan struct{}), wrote: make(chan struct{}), end: make(chan struct{})}
	f.changed.L = &f.mu
	go f.write()
	go f.sync()
	return f
}

var errStalled = proto.Errorf(proto.IO, "the disk is too slow")

// Write takes all of p, or nothing while the disk takes nothing. It blocks for at
// most stallTime.
func (f *File) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	full := func() bool { return f.taken+len(f.waiting) > 0 && f.taken+len(f.waiting)+len(p) > maxBehind }
	if full() && f.failed == nil && !f.stalled {
		timer := time.AfterFunc(stallTime, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.stalled = full()
			f.changed.Broadcast()
		})
		for full() && f.failed == nil && !f.stalled {
			f.changed.Wait()
		}
		timer.Stop()
	}
	switch {
	case f.failed != nil:
		return 0, f.failed
	case full():
		return 0, errStalled
	}
	f.waiting = append(f.waiting, p...)
	f.changed.Broadcast()
	return len(p), nil
}

// Flush waits until all is written, or can't be.
func (f *File) Flush() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.taken+len(f.waiting) > 0 && f.failed == nil {
		f.changed.Wait()
	}
	return f.failed
}

// Close makes the recording durable and closes it. It returns what could not be
// written in the end.
func (f *File) Close() error {
	f.mu.Lock()
	f.closed = true
	f.changed.Broadcast()
	f.mu.Unlock()
	close(f.quit)
	<-f.wrote
	<-f.end
	err := f.failed
	if serr := cmp.Or(f.lost, f.d.Sync()); err == nil && serr != nil {
		err = proto.IOError(serr)
	}
	if cerr := f.d.Close(); err == nil && cerr != nil {
		err = proto.IOError(cerr)
	}
	return err
}

// write writes what waits until Close, and then the rest once more.
func (f *File) write() {
	defer close(f.wrote)
	var spare []byte
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		for len(f.waiting) == 0 && !f.closed {
			f.changed.Wait()
		}
		if len(f.waiting) == 0 {
			return
		}
		last := f.closed
		out := f.waiting
		f.waiting, f.taken = spare[:0], len(out)
		f.mu.Unlock()
		n, err := f.d.Write(out)
		f.mu.Lock()
		f.dirty = f.dirty || n > 0
		f.taken, f.failed = 0, nil
		spare = out
		if err != nil {
			f.failed = proto.IOError(err)
			f.waiting = append(append([]byte(nil), out[n:]...), f.waiting...)
		}
		f.stalled = f.stalled && err != nil
		f.changed.Broadcast()
		if err == nil {
			continue
		}
		if last {
			return
		}
		f.mu.Unlock()
		select {
		case <-time.After(retryEvery):
		case <-f.quit:
		}
		f.mu.Lock()
	}
}

func (f *File) sync() {
	defer close(f.end)
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.mu.Lock()
			dirty := f.dirty
			f.dirty = false
			f.mu.Unlock()
			if !dirty {
				continue
			}
			if err := f.d.Sync(); err != nil {
				f.mu.Lock()
				f.lost = cmp.Or(f.lost, err) // Close tells
				f.mu.Unlock()
			}
		case <-f.quit:
			return
		}
	}
}
