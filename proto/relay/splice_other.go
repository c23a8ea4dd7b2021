//go:build !linux

package relay

import (
	"errors"
	"net"
	"time"
)

const canSplice = false

// readable is not called where canSplice is false.
func readable(*net.TCPConn) (int, error) { return 0, errors.ErrUnsupported }

// setUserTimeout does nothing: a place of a host that is gone ends later.
func setUserTimeout(net.Conn, time.Duration) {}
