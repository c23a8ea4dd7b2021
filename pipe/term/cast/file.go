package cast

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"mesh/proto"
)

// syncEvery is how much of a recording a power failure may take.
const syncEvery = 5 * time.Second

// File is a recording on disk, for [NewWriter].
type File struct {
	f *os.File

	quit, done chan struct{} // closed by Close, and by the goroutine that syncs
	dirty      struct {
		sync.Mutex
		yes bool
	}
}

// Create makes the file, with mode 0600. A name that is taken is [proto.Unsafe].
// What is written is durable within 5 s: a goroutine sees to it, until Close.
func Create(name string) (*File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, &proto.Error{Code: proto.Unsafe, Err: err}
	}
	if err != nil {
		return nil, proto.IOError(err)
	}
	file := &File{f: f, quit: make(chan struct{}), done: make(chan struct{})}
	go file.sync()
	return file, nil
}

// Write appends p.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.f.Write(p)
	if n > 0 {
		f.dirty.Lock()
		f.dirty.yes = true
		f.dirty.Unlock()
	}
	if err != nil {
		return n, proto.IOError(err)
	}
	return n, nil
}

// Close makes the recording durable and closes it.
func (f *File) Close() error {
	close(f.quit)
	<-f.done
	err := f.f.Sync()
	if cerr := f.f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return proto.IOError(err)
	}
	return nil
}

func (f *File) sync() {
	defer close(f.done)
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.dirty.Lock()
			dirty := f.dirty.yes
			f.dirty.yes = false
			f.dirty.Unlock()
			if dirty {
				_ = f.f.Sync() // Close tells of a disk that fails
			}
		case <-f.quit:
			return
		}
	}
}
