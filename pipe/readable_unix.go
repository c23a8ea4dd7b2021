//go:build unix

package pipe

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

// Readable reports whether a read of f would not block now: f has bytes to read,
// or has ended.
func Readable(f *os.File) bool { return ReadableWithin(f, 0) }

// ReadableWithin waits until f is readable, at most for d, and reports whether it is.
func ReadableWithin(f *os.File, d time.Duration) bool {
	ready := false
	err := rawfd.Control(f, func(fd uintptr) error {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(d.Milliseconds()))
		ready = n == 1 && fds[0].Revents&(unix.POLLIN|unix.POLLHUP) != 0
		return err
	})
	return err == nil && ready
}

// ReaderGone reports whether the reader of f, a pipe or a socket, has closed it, so
// that a write to f would fail. It does not block.
func ReaderGone(f *os.File) bool {
	gone := false
	err := rawfd.Control(f, func(fd uintptr) error {
		// Not every system reports the errors of a descriptor that it is asked nothing about.
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		n, err := unix.Poll(fds, 0)
		gone = n == 1 && fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
		return err
	})
	return err == nil && gone
}
