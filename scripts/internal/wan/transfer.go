//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"mesh/scripts/internal/host"
)

// arrivals is what has come out at the receiver.
type arrivals struct {
	begin time.Time

	mu    sync.Mutex
	total int64
	times []time.Duration // since begin, when bytes came; 1 ms apart at least
	wrong int64           // the offset of the first block that is not as sent, or -1
}

// add counts n bytes that have just come.
func (a *arrivals) add(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.total += int64(n)
	now := time.Since(a.begin)
	if k := len(a.times); k == 0 || now-a.times[k-1] >= time.Millisecond {
		a.times = append(a.times, now)
	}
}

// now returns how much has come, and when the last of it did.
func (a *arrivals) now() (total int64, last time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if k := len(a.times); k > 0 {
		last = a.times[k-1]
	}
	return a.total, last
}

// transfer is one pipe from host a to host b whose every byte is compared
// with what was sent.
type transfer struct {
	m          meshEnds
	size       int64
	send, recv *host.Process
	seen       *arrivals
	wg         sync.WaitGroup // of the feeder and the reader

	source, sink string // SHA-256 of what went in and what came out, when wg is done
	feed, out    *os.File
}

// startTransfer starts both ends, with events in files, and returns when bytes
// may flow. The transfer must be ended by end.
func startTransfer(ctx context.Context, m meshEnds, size int64) (*transfer, error) {
	m.recv = append([]string{"--events", m.events("b")}, m.recv...)
	m.send = append([]string{"--events", m.events("a")}, m.send...)
	out, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	t := &transfer{m: m, size: size, seen: &arrivals{wrong: -1}, out: out}
	t.recv, err = m.startRecv(ctx, w)
	w.Close()
	if err != nil {
		out.Close()
		return nil, err
	}
	if err := t.recv.Await(ctx, m.ready); err != nil {
		t.recv.Stop()
		out.Close()
		return nil, fmt.Errorf("mesh-recv: %w", err)
	}
	input, feed, err := os.Pipe()
	if err == nil {
		t.seen.begin = time.Now()
		t.send, err = m.startSend(ctx, input)
		input.Close()
	}
	if err != nil {
		t.recv.Stop()
		out.Close()
		feed.Close()
		return nil, err
	}
	t.feed = feed
	t.wg.Go(func() { t.source = feedHashed(feed, size) })
	t.wg.Go(func() { t.sink = readCompared(out, t.seen) })
	return t, nil
}

func (m meshEnds) events(host string) string { return filepath.Join(m.dir, "events-"+host) }

// feedHashed writes size random bytes to w, closes it and returns their
// SHA-256, or nothing if not all were taken.
func feedHashed(w *os.File, size int64) string {
	defer w.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(w, h)}, io.LimitReader(random(), size), make([]byte, blockBytes)); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

// readCompared reads r to its end and returns the SHA-256 of what came.
func readCompared(r *os.File, seen *arrivals) string {
	h, want := sha256.New(), random()
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

// reach waits until n bytes have come, or until they can't come any more.
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
			// The last bytes may still be on their way out of the receiver.
			if t.send.Err != nil {
				return fmt.Errorf("the sender ended with %d: %w: %s", t.send.Status(), t.send.Err, t.progress())
			}
		case <-tick.C:
		}
	}
}

func (t *transfer) progress() string {
	total, last := t.seen.now()
	return fmt.Sprintf("%d of %d bytes came, the last of them after %.1f s", total, t.size, last.Seconds())
}

// end waits for both ends, stops them if ctx ends first, and judges: an error
// is anything but two statuses 0 and the same bytes.
func (t *transfer) end(ctx context.Context) error {
	var late error
	for _, p := range []*host.Process{t.send, t.recv} {
		select {
		case <-p.Done:
		case <-ctx.Done():
			late = context.Cause(ctx)
		}
	}
	t.send.Stop()
	t.recv.Stop()
	t.out.SetReadDeadline(time.Now().Add(time.Second)) // what the pipe still holds
	t.feed.SetWriteDeadline(time.Now())
	t.wg.Wait()
	t.out.Close()

	if t.seen.wrong >= 0 {
		return wrongBytes{fmt.Sprintf("a wrong byte came out, in the block at %d", t.seen.wrong)}
	}
	sent, received := t.send.Status(), t.recv.Status()
	switch {
	case (sent == 0 || received == 0) && (t.seen.total != t.size || t.source != t.sink):
		return wrongBytes{fmt.Sprintf("statuses %d and %d, but %d of %d bytes came; SHA-256 %q and %q",
			sent, received, t.seen.total, t.size, t.source, t.sink)}
	case late != nil:
		return fmt.Errorf("%w: %s", late, t.progress())
	case sent != 0 || received != 0:
		return fmt.Errorf("mesh-cat ended with %d (%v), mesh-recv with %d (%v); %s", sent, t.send.Err, received, t.recv.Err, t.progress())
	}
	return t.receipts()
}

// wrongBytes is the one thing that must never be: wrong data, or a success
// that is none.
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

// event is what is used of a line of --events.
type event struct {
	Event  string
	Time   time.Time
	Via    string
	BLAKE3 string
	Bytes  int64
}

// said returns the events of a host.
func (t *transfer) said(host string) []event { return readEvents(t.m.events(host)) }

// readEvents reads the whole lines of a file of events.
func readEvents(path string) (events []event) {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			events = append(events, e)
		}
	}
	return events
}

// receipts compares what both ends say of the bytes.
func (t *transfer) receipts() error {
	var all []event
	for _, host := range []string{"a", "b"} {
		for _, e := range t.said(host) {
			if e.Event == "receipt" && e.Bytes == t.size {
				all = append(all, e)
			}
		}
	}
	if len(all) != 2 || all[0].BLAKE3 != all[1].BLAKE3 {
		return errors.New("the ends have no receipts, or not the same")
	}
	return nil
}
