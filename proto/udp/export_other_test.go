//go:build !linux

package udp

// SetYield has no effect on this system.
func SetYield(*Conn, int) {}

// DisableGRO has no effect on this system.
func DisableGRO(*Conn) {}
