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

// The keys that the child takes for more than what is to be shown.
const (
	keyEnd  = 0x04 // ends it
	keyStop = 0x03 // ends the flood
)

// blockLines is how many lines of a flood are written at once.
const blockLines = 1000

// screen is held by who writes.
type screen struct {
	mu sync.Mutex
}

func (s *screen) write(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = os.Stdout.Write(p) // a terminal that is gone shows at the next read
}

// child is the command at the other end: child FILE, and flood to print lines all
// the time. The terminal is raw. FILE gets how many bytes a second it printed.
func child(args []string) error {
	var s screen
	var printed atomic.Int64
	var flooding atomic.Bool
	flooding.Store(len(args) > 1)
	s.write([]byte("\x1b[2J\x1b[2;24r\x1b[2;1Hready\r\n"))
	begun := time.Now()
	var stopped time.Time
	done := make(chan struct{})
	go func() {
		defer close(done)
		block := bytes.Repeat([]byte("y\r\n"), blockLines)
		for flooding.Load() {
			s.write(block)
			printed.Add(int64(len(block)))
		}
		stopped = time.Now()
	}()
	gone := make(chan os.Signal, 1)
	signal.Notify(gone, syscall.SIGHUP)
	ended := make(chan struct{})
	go func() { // may be left in a read
		defer close(ended)
		key := make([]byte, 1)
		for {
			if _, err := os.Stdin.Read(key); err != nil || key[0] == keyEnd {
				return
			}
			if key[0] == keyStop {
				flooding.Store(false)
				<-done
				key[0] = '!'
			}
			s.write(fmt.Appendf(nil, "\x1b7\x1b[1;1H%c\x1b8", key[0]))
		}
	}()
	select {
	case <-gone:
	case <-ended:
	}
	flooding.Store(false)
	<-done
	speed := float64(printed.Load()) / stopped.Sub(begun).Seconds()
	return os.WriteFile(args[0], strconv.AppendFloat(nil, speed, 'f', 0, 64), 0o600)
}
