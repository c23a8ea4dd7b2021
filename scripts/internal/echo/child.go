//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	keyEnd     = 0x04 // ends the child, which shows the other keys as they are
	blockLines = 1000 // lines of a flood that are written at once
)

// child is the command on the measured terminal, which is raw: it shows each key in
// the upper left corner, and if args[0] is flood, it also prints lines all the
// time. At its end the file args[1] gets the number of bytes a second that the
// flood printed. The two goroutines may write at once: one Write of an os.File
// waits for the other.
func child(args []string) error {
	ended := make(chan os.Signal, 2) // gets a SIGHUP from the terminal, or from the reading of keys
	signal.Notify(ended, syscall.SIGHUP)
	fmt.Print("\x1b[2J\x1b[2;24r\x1b[2;1Hready\r\n")
	begun := time.Now()
	var printed atomic.Int64
	go func() {
		block := bytes.Repeat([]byte("y\r\n"), blockLines)
		for args[0] == flood {
			n, _ := os.Stdout.Write(block)
			printed.Add(int64(n))
		}
	}()
	go func() { // after a SIGHUP it stays blocked in a read until the process exits
		defer func() { ended <- syscall.SIGHUP }()
		for key := make([]byte, 1); ; {
			if _, err := os.Stdin.Read(key); err != nil || key[0] == keyEnd {
				return
			}
			fmt.Printf("\x1b7\x1b[1;1H%c\x1b8", key[0])
		}
	}()
	<-ended
	speed := float64(printed.Load()) / time.Since(begun).Seconds()
	return os.WriteFile(args[1], fmt.Appendf(nil, "%.0f", speed), 0o600)
}
