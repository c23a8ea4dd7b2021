//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"mesh/scripts/internal/host"
)

const (
	blockBytes   = 256 << 10
	firstTimeout = 25 * time.Second // ssh makes a dozen round trips before its first byte
)

// goodput is what a receiver got, in bits a second of payload.
type goodput struct {
	whole  float64       // from the first byte to the end
	steady float64       // in the second half of that
	first  time.Duration // from the sender's start to the first byte
	via    string        // what mesh --via auto has chosen
	health health
	err    error
}

// random returns the bytes that are sent, the same each time.
func random() io.Reader { return rand.NewChaCha8([32]byte{'m', 'e', 's', 'h'}) }

// ends are the two ends of a tool, before they are started.
type ends struct {
	recv  func() (*host.Process, error)
	ready func(recv *host.Process) bool // whether it can be called now
	send  func(stdin *os.File) (*host.Process, error)
}

// pump feeds the sender for as long as it takes to measure what comes out of
// sink for span. Both ends are ended then, whatever is on the way.
func pump(ctx context.Context, e ends, sink *os.File, span time.Duration) (g goodput, err error) {
	ctx, cancel := context.WithTimeout(ctx, host.ReadyTimeout+firstTimeout+span+10*time.Second)
	defer cancel()
	recv, err := e.recv()
	if err != nil {
		return g, err
	}
	defer recv.Stop()
	if err := recv.Await(ctx, func() bool { return e.ready(recv) }); err != nil {
		return g, fmt.Errorf("receiver: %w", err)
	}
	input, feed, err := os.Pipe()
	if err != nil {
		return g, err
	}
	fed := make(chan struct{}) // closed by the feeder
	go func() {
		defer close(fed)
		feedUntilClosed(feed)
	}()
	defer func() { feed.Close(); <-fed }()

	begin := time.Now()
	send, err := e.send(input)
	input.Close()
	if err != nil {
		return g, err
	}
	defer send.Stop()
	// A tool that fails must not be waited for: nothing would come.
	gone := make(chan struct{}) // closed when neither end needs to be watched
	defer close(gone)
	go func() {
		select {
		case <-send.Done:
		case <-recv.Done:
		case <-ctx.Done():
		case <-gone:
		}
		sink.SetReadDeadline(time.Now())
	}()
	g, err = count(sink, begin, span)
	select {
	case <-send.Done:
		err = errors.Join(err, fmt.Errorf("sender: status %d: %w", send.Status(), send.Err))
	case <-recv.Done:
		err = errors.Join(err, fmt.Errorf("receiver: status %d: %w", recv.Status(), recv.Err))
	default:
	}
	return g, err
}

// feedUntilClosed writes random data until w is closed or nobody reads it.
func feedUntilClosed(w *os.File) {
	data := make([]byte, 16<<20)
	random().Read(data) // never fails
	for {
		for at := 0; at < len(data); at += blockBytes {
			if _, err := w.Write(data[at : at+blockBytes]); err != nil {
				return
			}
		}
	}
}

// count measures what comes out of r for span from the first byte on. What has
// stalled is measured too: an interval without a byte counts.
func count(r *os.File, begin time.Time, span time.Duration) (g goodput, err error) {
	r.SetReadDeadline(begin.Add(firstTimeout))
	block := make([]byte, 4*blockBytes)
	n, err := r.Read(block)
	if err != nil {
		return g, fmt.Errorf("no byte came: %w", err)
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

// makeSink makes a named pipe in dir. It has a writer always, so that its
// reader sees no end when one comes late or goes.
func makeSink(dir string) (path string, r *os.File, err error) {
	path = filepath.Join(dir, "sink")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return "", nil, err
	}
	r, err = os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	return path, r, err
}
