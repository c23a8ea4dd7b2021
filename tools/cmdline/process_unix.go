//go:build unix

package cmdline

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

// writeSignals end a process that writes to a broken pipe, or beyond a limit.
var writeSignals = []os.Signal{syscall.SIGPIPE, syscall.SIGXFSZ}

// seemsClosed reports whether f is /dev/null opened for reading and writing, as the Go
// runtime opens it.
func seemsClosed(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return true
	}
	null, err := os.Stat(os.DevNull)
	if err != nil || !os.SameFile(info, null) {
		return false
	}
	mode := 0
	err = rawfd.Control(f, func(fd uintptr) (err error) {
		mode, err = unix.FcntlInt(fd, unix.F_GETFL, 0)
		return err
	})
	return err == nil && mode&unix.O_ACCMODE == unix.O_RDWR
}

// inherited returns descriptor fd as a file that children do not inherit, or nil if
// the parent did not leave it open for writing. A descriptor that closes on exec
// cannot be from the parent: the Go runtime opened it for itself.
func inherited(fd int) *os.File {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC != 0 {
		return nil
	}
	mode, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || mode&unix.O_ACCMODE == unix.O_RDONLY {
		return nil
	}
	if fd <= 2 { // still needed as a standard stream
		if fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3); err != nil {
			return nil
		}
	} else {
		unix.CloseOnExec(fd)
	}
	return os.NewFile(uintptr(fd), "events")
}
