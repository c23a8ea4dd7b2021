//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Keys with a meaning for the child; it shows the others as they are.
const (
	keyEnd    = 0x04 // ends the child
	keyStop   = 0x03 // ends the flood, and the corner shows shownStop
	shownStop = '!'
)

// blockLines is how many lines of a flood are written at once.
const blockLines = 1000

// stdout lets two goroutines write whole blocks.
type stdout struct {
	mu sync.Mutex
}

func (s *stdout) write(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = os.Stdout.Write(p) // if the terminal is gone, the next read fails too
}

// child is the command on the measured terminal, which is raw: child FILE shows
// each key in the upper left corner, child FILE flood also prints lines all the
// time. At its end FILE gets the number of bytes a second that the flood printed.
func child(args []string) error {
	var out stdout
	var printed atomic.Int64
	var flooding atomic.Bool
	flooding.Store(len(args) > 1)
	out.write([]byte("\x1b[2J\x1b[2;24r\x1b[2;1Hready\r\n"))
	begun := time.Now()
	var stopped time.Time
	flooded := make(chan struct{}) // closed when the flood has ended
	go func() {
		defer close(flooded)
		block := bytes.Repeat([]byte("y\r\n"), blockLines)
		for flooding.Load() {
			out.write(block)
			printed.Add(int64(len(block)))
		}
		stopped = time.Now()
	}()
	endFlood := func() { flooding.Store(false); <-flooded }
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	ended := make(chan struct{}) // closed when no more keys come
	go func() {                  // after a SIGHUP it stays blocked in a read until the process exits
		defer close(ended)
		key := make([]byte, 1)
		for {
			if _, err := os.Stdin.Read(key); err != nil || key[0] == keyEnd {
				return
			}
			if key[0] == keyStop {
				endFlood()
				key[0] = shownStop
			}
			out.write(fmt.Appendf(nil, "\x1b7\x1b[1;1H%c\x1b8", key[0]))
		}
	}()
	select {
	case <-hangup:
	case <-ended:
	}
	endFlood()
	speed := float64(printed.Load()) / stopped.Sub(begun).Seconds()
	return os.WriteFile(args[0], strconv.AppendFloat(nil, speed, 'f', 0, 64), 0o600)
}
