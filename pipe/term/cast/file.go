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
	// syncInterval bounds what a power failure can destroy of a recording.
	syncInterval = 5 * time.Second
	// retryInterval is the time between two attempts to write the same bytes.
	retryInterval = time.Second
	// maxQueuedBytes is how far the disk may be behind without delay. When it is further
	// behind, Write blocks for up to stallTime, once.
	maxQueuedBytes = 4 << 20
	stallTime      = time.Second
)

// disk is an open file: an [os.File], or one of a test.
type disk interface {
	Write(p []byte) (int, error)
	Sync() error
	Close() error
}

// File is a recording on disk, for [NewWriter], or another file of lines. A goroutine
// writes to the disk, so that a slow disk does not delay the caller. The bytes of one
// Write are in the file completely or not at all; only the last ones may be there in
// part, if the process is killed or the disk stays full.
type File struct {
	disk                  disk
	quit                  chan struct{} // closed by Close
	writeEnded, syncEnded chan struct{} // closed by the goroutines of writeLoop and syncLoop

	mu        sync.Mutex
	changed   sync.Cond // on mu
	queue     []byte    // not yet passed to the disk
	writing   int       // bytes that the disk is writing
	failed    error     // of the last attempt to write
	stalled   bool      // a Write has waited in vain; false again after a successful write
	dirty     bool      // bytes were written since the last Sync
	syncError error     // the first failure of Sync: the system reports it only once
	closed    bool
}

// Create creates the file, with mode 0600. If the name exists, the error has the code
// [proto.Unsafe]. Written bytes are durable about 5 s later, and after Close.
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

// Append opens a file to append lines to it, and creates it like [Create] if it does not
// exist.
func Append(name string) (*File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, proto.IOError(err)
	}
	return newFile(f), nil
}

func newFile(d disk) *File {
	f := &File{disk: d, quit: make(chan struct{}), writeEnded: make(chan struct{}), syncEnded: make(chan struct{})}
	f.changed.L = &f.mu
	go f.writeLoop()
	go f.syncLoop()
	return f
}

var errStalled = proto.Errorf(proto.IO, "write: the disk is too slow")

// Write queues all of p, or nothing if the disk is too far behind. It blocks for at most
// stallTime.
func (f *File) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	full := func() bool { return f.writing+len(f.queue) > 0 && f.writing+len(f.queue)+len(p) > maxQueuedBytes }
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
	f.queue = append(f.queue, p...)
	f.changed.Broadcast()
	return len(p), nil
}

// Flush waits until the queue is written, or the disk fails.
func (f *File) Flush() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.writing+len(f.queue) > 0 && f.failed == nil {
		f.changed.Wait()
	}
	return f.failed
}

// Close writes the queue, syncs and closes the file. Its error says whether bytes were
// lost.
func (f *File) Close() error {
	f.mu.Lock()
	f.closed = true
	f.changed.Broadcast()
	f.mu.Unlock()
	close(f.quit)
	<-f.writeEnded
	<-f.syncEnded
	err := f.failed
	if serr := cmp.Or(f.syncError, f.disk.Sync()); err == nil && serr != nil {
		err = proto.IOError(serr)
	}
	if cerr := f.disk.Close(); err == nil && cerr != nil {
		err = proto.IOError(cerr)
	}
	return err
}

// writeLoop writes the queue until Close; then it makes one last attempt.
func (f *File) writeLoop() {
	defer close(f.writeEnded)
	var spare []byte
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		for len(f.queue) == 0 && !f.closed {
			f.changed.Wait()
		}
		if len(f.queue) == 0 {
			return
		}
		last := f.closed
		out := f.queue
		f.queue, f.writing = spare[:0], len(out)
		f.mu.Unlock()
		n, err := f.disk.Write(out)
		f.mu.Lock()
		f.dirty = f.dirty || n > 0
		f.writing, f.failed = 0, nil
		spare = out
		if err != nil {
			f.failed = proto.IOError(err)
			f.queue = append(append([]byte(nil), out[n:]...), f.queue...)
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
		case <-time.After(retryInterval):
		case <-f.quit:
		}
		f.mu.Lock()
	}
}

// syncLoop syncs the file while it is written, until Close.
func (f *File) syncLoop() {
	defer close(f.syncEnded)
	tick := time.NewTicker(syncInterval)
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
			if err := f.disk.Sync(); err != nil {
				f.mu.Lock()
				f.syncError = cmp.Or(f.syncError, err) // for Close
				f.mu.Unlock()
			}
		case <-f.quit:
			return
		}
	}
}
