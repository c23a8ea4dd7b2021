package vt

import (
	"bytes"
	"fmt"
	"testing"
)

// BenchmarkWrite measures how fast output is interpreted: faster than a pty delivers it.
func BenchmarkWrite(b *testing.B) {
	var log bytes.Buffer
	for i := range 500 {
		fmt.Fprintf(&log, "\x1b[2m2026-01-02T03:04:05.%06dZ\x1b[0m \x1b[32m INFO\x1b[0m request{method=\x1b[1mGET\x1b[0m path=/item/%d} took %d us\r\n", i, i, i*7)
	}
	var screen bytes.Buffer
	for y := range 24 {
		fmt.Fprintf(&screen, "\x1b[%d;1H\x1b[38;5;%dm%3d \x1b[7m%-20s\x1b[27m %-50s\x1b[K", y+1, y, y, "name", "a line of a full screen program")
	}
	for _, bb := range []struct {
		name   string
		stream []byte
	}{
		{"yes", bytes.Repeat([]byte("y\r\n"), 20000)},
		{"lines of 70", bytes.Repeat([]byte("The quick brown fox jumps over the lazy dog and runs through the wood.\r\n"), 800)},
		{"colour log", log.Bytes()},
		{"full screen", screen.Bytes()},
		{"Japanese", bytes.Repeat([]byte("日本語の文章は幅が二倍です。\r\n"), 1000)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			t := New(80, 24, 5000)
			b.SetBytes(int64(len(bb.stream)))
			for b.Loop() {
				for p := bb.stream; len(p) > 0; {
					n := min(len(p), 32<<10)
					_, _ = t.Write(p[:n])
					p = p[n:]
				}
			}
		})
	}
}

// BenchmarkSnapshot measures the cost of a viewer that joins late.
func BenchmarkSnapshot(b *testing.B) {
	t := New(120, 40, 5000)
	for i := range 5000 {
		fmt.Fprintf(t, "\x1b[%dmline %d\x1b[m of a log\r\n", 31+i%6, i)
	}
	b.Run("screen", func(b *testing.B) {
		for b.Loop() {
			t.Snapshot(0)
		}
	})
	b.Run("1000 lines", func(b *testing.B) {
		for b.Loop() {
			t.Snapshot(1000)
		}
	})
}

// BenchmarkResize measures how long the output waits when the width changes.
func BenchmarkResize(b *testing.B) {
	t := New(80, 24, 10000)
	for i := range 10000 {
		fmt.Fprintf(t, "%d: The quick brown fox jumps over the lazy dog and runs through the wood, and the field.\r\n", i)
	}
	for b.Loop() {
		t.Resize(50, 24)
		t.Resize(80, 24)
	}
}
