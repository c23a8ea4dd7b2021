package node

import (
	"errors"

	"golang.org/x/sys/windows"
)

func isNotOurs(err error) bool { return errors.Is(err, windows.WSAEADDRNOTAVAIL) }

func isInUse(err error) bool { return errors.Is(err, windows.WSAEADDRINUSE) }
