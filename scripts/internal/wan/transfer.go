//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"mesh/scripts/internal/measure"
)

// arrivals records what the receiver has put out.
type arrivals struct {
	begin time.Time

	mu    sync.Mutex
	total int64
	times []time.Duration // since begin, when bytes arrived; at least 1 ms apart
	wrong int64           // the offset of the first block that differs from what was sent, or -1
}

// add counts n bytes that have just arrived.
func (a *arrivals) add(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.total += int64(n)
	now := time.Since(a.begin)
	if k := len(a.times); n > 0 && (k == 0 || now-a.times[k-1] >= time.Millisecond) {
		a.times = append(a.times, now)
	}
}

// now returns how much has arrived, and when the last of it did.
func (a *arrivals) now() (total int64, last time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if k := len(a.times); k > 0 {
		last = a.times[k-1]
	}
	return a.total, last
}

// all returns a copy of the times.
func (a *arrivals) all() []time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]time.Duration(nil), a.times...)
}

// transfer is one pipe from host a to host b. Every byte is compared with what was
// sent.
type transfer struct {
	job        measure.Job
	size       int64
	send, recv *measure.Process
	seen       *arrivals
	wg         sync.WaitGroup // of the feeder and the reader

	source, sink string // SHA-256 of input and output, valid after wg
	feed, out    *os.File
}

// startTransfer starts mesh-cat and mesh-recv with more flags, and returns when
// both run. The transfer must be ended by end.
func startTransfer(ctx context.Context, m measure.Mesh, j measure.Job, size measure.Size, sendFlags, recvFlags string) (*transfer, error) {
	tool := m.Tool("", "mesh-cat --events EVENTS "+sendFlags+" PEER", "mesh-recv --events EVENTS "+recvFlags)
	ends, err := tool.Open(j)
	if err != nil {
		return nil, err
	}
	out, stdout, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	t := &transfer{job: j, size: int64(size), seen: &arrivals{wrong: -1}, out: out}
	t.recv, t.send, t.feed, err = startEnds(ctx, ends, stdout)
	stdout.Close()
	if err != nil {
		out.Close()
		return nil, err
	}
	t.seen.begin = t.send.Began
	t.wg.Go(func() { t.source = feedHashed(t.feed, t.size) })
	t.wg.Go(func() { t.sink = readCompared(out, t.seen) })
	return t, nil
}

// startEnds starts the receiver and, when that is ready, the sender. It returns the
// pipe to the sender's stdin.
func startEnds(ctx context.Context, e measure.Ends, stdout *os.File) (recv, send *measure.Process, feed *os.File, err error) {
	if recv, err = measure.StartReady(ctx, e.Recv, stdout, e.Ready); err != nil {
		return nil, nil, nil, fmt.Errorf("receiver: %w", err)
	}
	stdin, feed, err := os.Pipe()
	if err == nil {
		send, err = measure.Start(ctx, e.Send, stdin, nil)
		stdin.Close()
	}
	if err != nil {
		recv.Stop()
		feed.Close()
		return nil, nil, nil, fmt.Errorf("sender: %w", err)
	}
	return recv, send, feed, nil
}

// feedHashed writes size random bytes to w, closes it and returns their SHA-256,
// or nothing if the writing failed.
func feedHashed(w *os.File, size int64) string {
	defer w.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(w, h)}, io.LimitReader(measure.Random(), size), make([]byte, blockBytes)); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

// readCompared reads r to its end and returns the SHA-256 of it.
func readCompared(r *os.File, seen *arrivals) string {
	h, want := sha256.New(), measure.Random()
	got, expected := make([]byte, blockBytes), make([]byte, blockBytes)
	var at int64
	for {
		n, err := r.Read(got)
		seen.add(n)
		h.Write(got[:n])
		io.ReadFull(want, expected[:n]) // never fails
		if !bytes.Equal(got[:n], expected[:n]) {
			seen.mu.Lock()
			if seen.wrong < 0 {
				seen.wrong = at
			}
			seen.mu.Unlock()
		}
		at += int64(n)
		if err != nil {
			return hex.EncodeToString(h.Sum(nil))
		}
	}
}

// reach waits until n bytes have arrived, or until an end has failed.
func (t *transfer) reach(ctx context.Context, n int64) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if total, _ := t.seen.now(); total >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", context.Cause(ctx), t.progress())
		case <-t.recv.Done:
			return fmt.Errorf("the receiver ended with %d: %w: %s", t.recv.Status(), t.recv.Err, t.progress())
		case <-t.send.Done:
			// After a success, the receiver may still have to put out the last bytes.
			if t.send.Err != nil {
				return fmt.Errorf("the sender ended with %d: %w: %s", t.send.Status(), t.send.Err, t.progress())
			}
		case <-tick.C:
		}
	}
}

func (t *transfer) progress() string {
	total, last := t.seen.now()
	return fmt.Sprintf("%d of %d bytes arrived, the last of them after %.1f s", total, t.size, last.Seconds())
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
	t.out.SetReadDeadline(time.Now().Add(time.Second)) // for what the pipe still holds
	if t.feed != nil {
		t.feed.SetWriteDeadline(time.Now())
	}
	t.wg.Wait()
	t.out.Close()
	return err
}

// end stops t and checks it: both statuses must be 0, and the bytes the same.
func (t *transfer) end(ctx context.Context) error {
	late := t.stop(ctx)
	if t.seen.wrong >= 0 {
		return wrongBytes{fmt.Sprintf("a wrong byte came out, in the block at %d", t.seen.wrong)}
	}
	sent, received := t.send.Status(), t.recv.Status()
	switch {
	case (sent == 0 || received == 0) && (t.seen.total != t.size || t.source != t.sink):
		return wrongBytes{fmt.Sprintf("statuses %d and %d, but %d of %d bytes arrived; SHA-256 %q and %q",
			sent, received, t.seen.total, t.size, t.source, t.sink)}
	case late != nil:
		return late
	case sent != 0 || received != 0:
		return fmt.Errorf("mesh-cat ended with %d (%v), mesh-recv with %d (%v); %s", sent, t.send.Err, received, t.recv.Err, t.progress())
	}
	return t.compareReceipts()
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
	return last.Sub(t.seen.begin)
}

// compareReceipts compares the digests that the two ends have reported.
func (t *transfer) compareReceipts() error {
	var all []measure.Event
	for _, host := range []string{"a", "b"} {
		for _, e := range t.job.Events(host) {
			if e.Event == "receipt" && e.Bytes == t.size {
				all = append(all, e)
			}
		}
	}
	if len(all) != 2 || all[0].BLAKE3 != all[1].BLAKE3 {
		return errors.New("a receipt is missing, or the two differ")
	}
	return nil
}
