//go:build !linux

package udp

import (
	"errors"
	"net"
	"slices"
	"syscall"
)

// socket is all that a Conn holds here: the rest is left to the embedded
// *net.UDPConn.
type socket struct {
	recvBytes, sendBytes int // sizes of the socket's buffers
}

func (c *Conn) setup() error {
	c.recvBytes = enlarge(c.SetReadBuffer)
	c.sendBytes = enlarge(c.SetWriteBuffer)
	return nil
}

// enlarge asks for BufferBytes, then for less: the BSDs and macOS refuse a
// size above their limit where Linux cuts it down. It returns the size granted,
// or 0 if the system's default remains.
func enlarge(set func(int) error) int {
	for size := BufferBytes; size >= 256<<10; size /= 2 {
		if set(size) == nil {
			return size
		}
	}
	return 0
}

func (c *Conn) write(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	return c.send(b, oob, addr)
}

func (c *Conn) drain() {}

// again reports whether a failed send is worth another attempt.
func again(syscall.Errno) bool { return false }

// passing reports whether a failed send is no more than a lost packet. The
// list is that of Unix; Windows has other numbers and keeps quic-go's ways.
func (c *Conn) passing(err error, _ []byte, _ *net.UDPAddr) bool {
	errno, ok := errors.AsType[syscall.Errno](err)
	return ok && slices.Contains([]syscall.Errno{
		syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.EHOSTUNREACH,
		syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.EPERM, syscall.EACCES, syscall.ECONNREFUSED,
	}, errno)
}
