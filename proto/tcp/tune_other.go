//go:build !linux

package tcp

import "net"

func tune(net.Conn) (bbr bool) { return false }

func lossy(net.Conn) bool { return false }
