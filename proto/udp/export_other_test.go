//go:build !linux

package udp

// SetYield does nothing where there is nothing to set.
func SetYield(*Conn, int) {}

// DisableGRO does nothing where there is nothing to set.
func DisableGRO(*Conn) {}
