//go:build !windows

package node

import (
	"errors"
	"syscall"
)

func isNotOurs(err error) bool { return errors.Is(err, syscall.EADDRNOTAVAIL) }

func isInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
