package tcp

import (
	"errors"

	"golang.org/x/sys/windows"
)

// ErrnoReset is the error of a connection that the other side has reset.
const ErrnoReset = windows.WSAECONNRESET

func isReset(err error) bool {
	return errors.Is(err, windows.WSAECONNRESET) || errors.Is(err, windows.WSAECONNABORTED)
}

// IsRefused reports whether a dial failed because no process listens on that port.
func IsRefused(err error) bool { return errors.Is(err, windows.WSAECONNREFUSED) }
