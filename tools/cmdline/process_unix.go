//go:build unix

package cmdline

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// writeSignals end a process that writes to a dead pipe, or beyond a limit.
var writeSignals = []os.Signal{syscall.SIGPIPE, syscall.SIGXFSZ}

// inherited returns descriptor fd if the parent left it open for writing, as a
// file that children do not inherit; else nil. Descriptors that the Go runtime
// made for itself close on exec, those of the parent do not.
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
