package pipe

import (
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

// fifoBytes is the buffer size requested for pipes: with the default of 64 KiB,
// the processes on both sides wait for each other more often.
const fifoBytes = 1 << 20

// Pollable returns a non-blocking file for the pipe that f is an end of: the
// runtime's poller waits for it, and its deadlines work. A read or write of a
// blocking f would hold a thread until it returns, and could not be interrupted.
// The pipe is opened again, so that the flags of f, which other processes share,
// stay as they are. If f is no pipe, or cannot be opened again, it returns f.
func Pollable(f *os.File, flag int) *os.File {
	info, err := f.Stat()
	if err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		return f
	}
	p, err := os.OpenFile("/proc/self/fd/"+strconv.Itoa(int(f.Fd())), flag|unix.O_NONBLOCK, 0)
	if err != nil {
		return f
	}
	_ = rawfd.Control(p, func(fd uintptr) error { // works without it too
		_, err := unix.FcntlInt(fd, unix.F_SETPIPE_SZ, fifoBytes)
		return err
	})
	return p
}
