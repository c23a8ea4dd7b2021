package tcp

import (
	"errors"

	"golang.org/x/sys/windows"
)

func isReset(err error) bool {
	return errors.Is(err, windows.WSAECONNRESET) || errors.Is(err, windows.WSAECONNABORTED)
}

// IsRefused reports whether a dial failed because nobody listens there.
func IsRefused(err error) bool { return errors.Is(err, windows.WSAECONNREFUSED) }
