//go:build !linux

package udp

import (
	"errors"
	"net"
	"slices"
	"syscall"
)

// socket is the part of a Conn that depends on the system. Here the embedded
// *net.UDPConn does the rest.
type socket struct {
	recvBytes, sendBytes int // sizes of the socket's buffers
}

func (c *Conn) setup() error {
	c.recvBytes = enlargeBuffer(c.SetReadBuffer)
	c.sendBytes = enlargeBuffer(c.SetWriteBuffer)
	return nil
}

// enlargeBuffer requests BufferBytes, then less: the BSDs and macOS refuse a size
// above their limit, where Linux reduces it. It returns the size in effect, or 0 if
// the system's default remains.
func enlargeBuffer(set func(int) error) int {
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

func (c *Conn) drainErrors() {}

// shouldRetry reports whether a failed send is worth another attempt.
func shouldRetry(syscall.Errno) bool { return false }

// isPassing reports whether a failed send is no more than a lost packet. The list is
// that of Unix; Windows has other numbers, so there quic-go sees every error.
func (c *Conn) isPassing(err error, _ []byte, _ *net.UDPAddr) bool {
	errno, ok := errors.AsType[syscall.Errno](err)
	return ok && slices.Contains([]syscall.Errno{
		syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.EHOSTUNREACH,
		syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.EPERM, syscall.EACCES, syscall.ECONNREFUSED,
	}, errno)
}
