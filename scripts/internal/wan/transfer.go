//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"mesh/scripts/internal/measure"
)

const blockBytes = 256 << 10

// transfer is a stream of random bytes from a sender to a receiver, which writes
// it into a named pipe.
type transfer struct {
	job        measure.Job
	size       int64 // every byte is compared with what was sent; 0: endless, not compared
	send, recv *measure.Process
	begin      time.Time

	feed *os.File // the sender's stdin; nil if the sender makes the data itself
	out  *os.File // the reading end of the named pipe
	pipe *os.File // its writing end, open until stop: before that the reader sees no end
	wg   sync.WaitGroup

	mu    sync.Mutex
	total int64           // what has arrived
	times []time.Duration // since begin, when bytes arrived; at least 1 ms apart
	wrong int64           // the offset of the first block that differs from what was sent, or -1
}

// newTransfer returns a transfer of size bytes that is not yet started.
func (l *lab) newTransfer(size int64) (t *transfer, err error) {
	dir, err := os.MkdirTemp(l.e.Dir, "run-")
	if err != nil {
		return nil, err
	}
	job := measure.Job{Dir: dir, Home: dir, Out: filepath.Join(dir, "sink"), Addr: hostB, On: l.on}
	t = &transfer{job: job, size: size, wrong: -1}
	if err := syscall.Mkfifo(job.Out, 0o600); err != nil {
		return nil, err
	}
	if t.out, err = os.OpenFile(job.Out, os.O_RDONLY|syscall.O_NONBLOCK, 0); err != nil {
		return nil, err
	}
	if t.pipe, err = os.OpenFile(job.Out, os.O_WRONLY, 0); err != nil {
		t.out.Close()
		return nil, err
	}
	return t, nil
}

// start starts the ends of a tool, the receiver first, and feeds the sender. The
// transfer must be ended by stop or end.
func (l *lab) start(ctx context.Context, tool *measure.Tool, size measure.Size) (*transfer, error) {
	t, err := l.newTransfer(int64(size))
	if err != nil {
		return nil, err
	}
	ends, err := tool.Open(t.job)
	if err != nil {
		return nil, err
	}
	stdout := t.pipe
	if ends.Stores {
		stdout = nil
	}
	if t.recv, err = measure.StartReady(ctx, ends.Recv, stdout, ends.Ready); err != nil {
		return nil, fmt.Errorf("receiver: %w", err)
	}
	stdin, feed, err := os.Pipe()
	if err == nil {
		t.send, err = measure.Start(ctx, ends.Send, stdin, nil)
		stdin.Close()
	}
	if err != nil {
		t.recv.Stop()
		return nil, fmt.Errorf("sender: %w", err)
	}
	t.feed, t.begin = feed, t.send.Began
	t.wg.Go(t.write)
	t.wg.Go(t.read)
	return t, nil
}

// meshTool is mesh-cat and mesh-recv with more flags.
func meshTool(m measure.Mesh, name, sendFlags, recvFlags string) *measure.Tool {
	return m.Tool(name, "mesh-cat --events EVENTS "+sendFlags+" PEER", "mesh-recv --events EVENTS "+recvFlags)
}

// write feeds the sender.
func (t *transfer) write() {
	defer t.feed.Close()
	if t.size > 0 {
		io.Copy(t.feed, io.LimitReader(measure.Random(), t.size))
		return
	}
	data := make([]byte, 16<<20)
	measure.Random().Read(data)
	for err := error(nil); err == nil; {
		_, err = t.feed.Write(data)
	}
}

// read reads what the receiver puts out.
func (t *transfer) read() {
	random, got, want := measure.Random(), make([]byte, blockBytes), make([]byte, blockBytes)
	for err := error(nil); err == nil; {
		var n int
		n, err = t.out.Read(got)
		if t.size > 0 {
			io.ReadFull(random, want[:n])
		}
		t.mu.Lock()
		if t.size > 0 && t.wrong < 0 && !bytes.Equal(got[:n], want[:n]) {
			t.wrong = t.total
		}
		t.total += int64(n)
		now := time.Since(t.begin)
		if k := len(t.times); n > 0 && (k == 0 || now-t.times[k-1] >= time.Millisecond) {
			t.times = append(t.times, now)
		}
		t.mu.Unlock()
	}
}

// arrived returns how much has arrived, and when, since begin.
func (t *transfer) arrived() (total int64, times []time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total, t.times // only appended to
}

func (t *transfer) progress() string {
	total, times := t.arrived()
	text := fmt.Sprintf("%d of %d bytes arrived", total, t.size)
	if len(times) > 0 {
		text += fmt.Sprintf(", the last of them after %.1f s", times[len(times)-1].Seconds())
	}
	return text
}

// await waits until done returns true. It fails if ctx ends, if the receiver ends
// and if the sender fails. A sender that succeeds may end before the receiver.
func (t *transfer) await(ctx context.Context, done func() bool) error {
	for !done() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", context.Cause(ctx), t.progress())
		case <-t.recv.Done:
			return fmt.Errorf("the receiver ended with %d: %w: %s", t.recv.Status(), t.recv.Err, t.progress())
		case <-time.After(5 * time.Millisecond):
		}
		select {
		case <-t.send.Done:
			if t.send.Err != nil {
				return fmt.Errorf("the sender ended with %d: %w: %s", t.send.Status(), t.send.Err, t.progress())
			}
		default:
		}
	}
	return nil
}

// reach waits until n bytes have arrived.
func (t *transfer) reach(ctx context.Context, n int64) error {
	return t.await(ctx, func() bool { total, _ := t.arrived(); return total >= n })
}

// stop waits for both ends and for the output. It stops the ends when ctx ends
// first, and returns that as an error.
func (t *transfer) stop(ctx context.Context) (err error) {
	for _, p := range []*measure.Process{t.send, t.recv} {
		select {
		case <-p.Done:
		case <-ctx.Done():
			err = fmt.Errorf("%w: %s", context.Cause(ctx), t.progress())
		}
	}
	t.send.Stop()
	t.recv.Stop()
	t.pipe.Close()
	t.out.SetReadDeadline(time.Now().Add(time.Second)) // in case a child of the receiver still has the pipe open
	if t.feed != nil {
		t.feed.SetWriteDeadline(time.Now())
	}
	t.wg.Wait()
	t.out.Close()
	return err
}

// end stops t and checks it: both statuses must be 0, and the bytes the same. The
// status 0 of either end promises that, but that of the sharer of a terminal, which
// has no feed, promises nothing about a viewer.
func (t *transfer) end(ctx context.Context) error {
	late := t.stop(ctx)
	sent, received := t.send.Status(), t.recv.Status()
	switch {
	case t.wrong >= 0:
		return wrongBytes{fmt.Sprintf("a wrong byte came out, in the block at %d", t.wrong)}
	case (received == 0 || sent == 0 && t.feed != nil) && t.total != t.size:
		return wrongBytes{fmt.Sprintf("statuses %d and %d, but %d of %d bytes arrived", sent, received, t.total, t.size)}
	case late != nil:
		return late
	case sent != 0 || received != 0:
		return fmt.Errorf("the sender ended with %d (%v), the receiver with %d (%v); %s", sent, t.send.Err, received, t.recv.Err, t.progress())
	}
	return nil
}

// endMesh is end, and checks that both ends have reported the same digest.
func (t *transfer) endMesh(ctx context.Context) error {
	if err := t.end(ctx); err != nil {
		return err
	}
	receipts := slices.DeleteFunc(append(t.job.Events("a"), t.job.Events("b")...), func(e measure.Event) bool {
		return e.Event != "receipt" || e.Bytes != t.size
	})
	if len(receipts) != 2 || receipts[0].BLAKE3 != receipts[1].BLAKE3 {
		return errors.New("a receipt is missing, or the two differ")
	}
	return nil
}

// wrongBytes is the one failure that must never happen: wrong data, or an exit
// status of 0 without all data.
type wrongBytes struct{ what string }

func (w wrongBytes) Error() string { return "WRONG: " + w.what }

// wall is the time from the sender's start to both exits, after end.
func (t *transfer) wall() time.Duration {
	last := t.send.Ended
	if t.recv.Ended.After(last) {
		last = t.recv.Ended
	}
	return last.Sub(t.begin)
}
