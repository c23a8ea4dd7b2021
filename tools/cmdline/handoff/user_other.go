//go:build !linux && !darwin && !freebsd

package handoff

import "net"

// sameUser can't tell here: the mode of the socket and of its folder must do.
func sameUser(*net.UnixConn) error { return nil }
