//go:build !windows

package files

import "syscall"

// openNonblock keeps the opening of a FIFO, which came in the place of a file,
// from waiting for its other end.
const openNonblock = syscall.O_NONBLOCK
