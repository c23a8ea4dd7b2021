//go:build !linux

package relay

import (
	"errors"
	"net"
)

const canSplice = false

// readable is not called where canSplice is false.
func readable(*net.TCPConn) (int, error) { return 0, errors.ErrUnsupported }
