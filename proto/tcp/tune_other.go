//go:build !linux

package tcp

import "net"

func useBBR(net.Conn) bool { return false }

func isLossy(net.Conn) bool { return false }
