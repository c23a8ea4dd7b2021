//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"mesh/scripts/internal/measure"
)

const (
	blockBytes   = 256 << 10
	firstTimeout = 25 * time.Second // ssh makes a dozen round trips before its first byte
)

// goodput is what arrived at a receiver, in bits of payload a second.
type goodput struct {
	whole  float64       // from the first byte to the end
	steady float64       // in the second half of that
	first  time.Duration // from the sender's start to the first byte
	via    string        // the transport that mesh --via auto chose
	health health
	err    error
}

// trusted reports whether the emulator kept up.
func (g goodput) trusted() bool { return g.health.dropped == 0 && g.health.late <= maxLate }

func (g goodput) String() string {
	if g.err != nil {
		return "error: " + g.err.Error()
	}
	text := fmt.Sprintf("%.1f / %.1f Mbit/s", g.whole/1e6, g.steady/1e6)
	if g.via != "" {
		text += " over " + g.via
	}
	if g.first > 0 {
		text += fmt.Sprintf(", first byte after %d ms", g.first.Milliseconds())
	}
	return text + "; " + g.health.String()
}

// pump feeds the sender, and measures what comes out of sink, the reading end of
// the named pipe out, for span. Then both ends are stopped in the middle of the
// stream.
func pump(ctx context.Context, e measure.Ends, out string, sink *os.File, span time.Duration) (g goodput, err error) {
	ctx, cancel := context.WithTimeout(ctx, measure.ReadyTimeout+firstTimeout+span+10*time.Second)
	defer cancel()
	var stdout *os.File
	if !e.Stores {
		if stdout, err = os.OpenFile(out, os.O_WRONLY, 0); err != nil {
			return g, err
		}
		defer stdout.Close()
	}
	recv, send, feed, err := startEnds(ctx, e, stdout)
	if err != nil {
		return g, err
	}
	defer recv.Stop()
	var wg sync.WaitGroup
	defer func() { feed.Close(); wg.Wait() }()
	wg.Go(func() { feedUntilClosed(feed) })
	defer send.Stop()
	counted := make(chan struct{}) // closed when the reading is over
	defer close(counted)
	wg.Go(func() {
		select { // when an end has failed, no more data arrives: the read must not wait for it
		case <-send.Done:
		case <-recv.Done:
		case <-ctx.Done():
		case <-counted:
		}
		sink.SetReadDeadline(time.Now())
	})
	g, err = count(sink, send.Began, span)
	select {
	case <-send.Done:
		err = errors.Join(err, fmt.Errorf("sender: status %d: %w", send.Status(), send.Err))
	case <-recv.Done:
		err = errors.Join(err, fmt.Errorf("receiver: status %d: %w", recv.Status(), recv.Err))
	default:
	}
	return g, err
}

// feedUntilClosed writes random data until w is closed or has no reader.
func feedUntilClosed(w *os.File) {
	data := make([]byte, 16<<20)
	measure.Random().Read(data) // never fails
	for {
		for at := 0; at < len(data); at += blockBytes {
			if _, err := w.Write(data[at : at+blockBytes]); err != nil {
				return
			}
		}
	}
}

// count measures what comes out of r for span from the first byte on. A stall
// counts too: time without a byte is part of span.
func count(r *os.File, begin time.Time, span time.Duration) (g goodput, err error) {
	r.SetReadDeadline(begin.Add(firstTimeout))
	block := make([]byte, 4*blockBytes)
	n, err := r.Read(block)
	if err != nil {
		return g, fmt.Errorf("no byte arrived: %w", err)
	}
	first := time.Now()
	g.first = first.Sub(begin)
	r.SetReadDeadline(first.Add(span))
	total, half := n, -1
	for {
		n, err := r.Read(block)
		if half < 0 && time.Since(first) >= span/2 {
			half = total
		}
		total += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			return g, err
		}
	}
	if short := span - time.Since(first); short > 0 {
		return g, fmt.Errorf("ended %v too early", short.Round(time.Millisecond))
	}
	g.whole = float64(total) * 8 / span.Seconds()
	g.steady = float64(total-half) * 8 / (span / 2).Seconds()
	return g, nil
}

// makeSink makes a named pipe and opens it for reading. It is open for writing as
// well, so that the reader sees no end before the tool opens it.
func makeSink(path string) (r *os.File, err error) {
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
}
