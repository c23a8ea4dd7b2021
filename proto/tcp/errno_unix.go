//go:build !windows

package tcp

import (
	"errors"
	"syscall"
)

// ErrnoReset is the error of a connection that the other side has reset.
const ErrnoReset = syscall.ECONNRESET

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// IsRefused reports whether a dial failed because no process listens on that port.
func IsRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
