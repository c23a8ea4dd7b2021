package relay

import (
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

// canSplice says that this system tells how many bytes can be read and moves them without
// a copy to this process.
const canSplice = true

// readable blocks until bytes can be read, and returns how many. The runtime's own
// splice would take a pipe first and then block, so an idle pair would hold two pipes.
func readable(c *net.TCPConn) (n int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var callErr error
	err = raw.Read(func(fd uintptr) bool {
		n, callErr = queued(int(fd))
		return callErr != unix.EAGAIN
	})
	if err == nil {
		err = callErr
	}
	return n, err
}

// queued returns how many bytes are in the receive buffer, EAGAIN if there are none, or
// io.EOF after the FIN.
func queued(fd int) (int, error) {
	n, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
	if n > 0 || err != nil {
		return n, err
	}
	for {
		n, _, err = unix.Recvfrom(fd, make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// setUserTimeout bounds how long the node's host may take to acknowledge what was sent
// (RFC 5482); 0 leaves that to the system. It would end a pair whose consumer pauses.
func setUserTimeout(conn net.Conn, d time.Duration) {
	if c, ok := unwrap(conn).(*net.TCPConn); ok {
		_ = rawfd.Control(c, func(fd uintptr) error {
			return unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
		})
	}
}
