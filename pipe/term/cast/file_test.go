package cast_test

import (
	"bytes"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mesh/pipe/term/cast"
	"mesh/proto"
)

// slowDisk is a disk that may be full, or block writes for a while.
type slowDisk struct {
	mu    sync.Mutex
	b     bytes.Buffer
	room  int
	until chan struct{} // writes block until it is closed; nil if they do not block
	syncs []error       // results of the next calls of Sync
}

func (d *slowDisk) Write(p []byte) (int, error) {
	if d.until != nil {
		<-d.until
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(p), d.room)
	d.b.Write(p[:n])
	d.room -= n
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (d *slowDisk) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.syncs) == 0 {
		return nil
	}
	err := d.syncs[0]
	d.syncs = d.syncs[1:]
	return err
}

func (d *slowDisk) Close() error { return nil }

func (d *slowDisk) hasRoom(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = n
}

// A disk that is full for a while leaves a marked gap between whole lines. A disk that
// stays full is an error of Close.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	for _, stays := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d := &slowDisk{room: 100}
			f := cast.NewFile(d)
			c := newWriter(t, f)
			failed := 0
			for range 20 {
				if err := c.Output(start, []byte("0123456789")); err != nil {
					failed++
					if got := proto.CodeOf(err); got != proto.Space {
						t.Errorf("got %v, want %v", err, proto.Space)
					}
				}
				synctest.Wait()
			}
			if failed == 0 {
				t.Error("no error on a full disk")
			}
			if stays {
				if err := f.Close(); proto.CodeOf(err) != proto.Space {
					t.Errorf("got %v, want %v", err, proto.Space)
				}
				return
			}
			d.hasRoom(1 << 20)
			<-time.After(2 * time.Second) // virtual time: the write is tried again
			check(t, c.Output(start, []byte("end")), c.Close(start), f.Close())
			if got := outputs(t, d.b.Bytes()); !strings.HasSuffix(got, "end") || !strings.Contains(d.b.String(), "bytes were lost here") {
				t.Errorf("got %q in %s", got, d.b.String())
			}
		})
	}
}

// A disk that blocks delays the session by a second, once, and memory stays bounded.
func TestStalledDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &slowDisk{room: 1 << 30, until: make(chan struct{})}
		f := cast.NewFile(d)
		c := newWriter(t, f)
		begun := time.Now()
		failed := 0
		for range 2 * cast.MaxQueuedBytes / (32 << 10) {
			if c.Output(start, bytes.Repeat([]byte("x"), 32<<10)) != nil {
				failed++
			}
		}
		if took := time.Since(begun); took != cast.StallTime || failed == 0 {
			t.Errorf("the session was held up for %s with %d losses, want %s and some", took, failed, cast.StallTime)
		}
		close(d.until)
		synctest.Wait()
		check(t, c.Output(start, []byte("end")), c.Close(start), f.Close())
		if got := outputs(t, d.b.Bytes()); !strings.HasSuffix(got, "xend") || !strings.Contains(d.b.String(), "bytes were lost here") {
			t.Errorf("got %d bytes of output", len(got))
		}
	})
}

// Linux reports a failed write-back only once: Close reports it all the same.
func TestSyncFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := cast.NewFile(&slowDisk{room: 1 << 20, syncs: []error{syscall.EIO}})
		c := newWriter(t, f)
		check(t, c.Output(start, []byte("x")))
		<-time.After(10 * time.Second) // virtual time: the file is synced
		check(t, c.Close(start))
		if err := f.Close(); proto.CodeOf(err) != proto.IO {
			t.Errorf("got %v, want %v", err, proto.IO)
		}
	})
}
