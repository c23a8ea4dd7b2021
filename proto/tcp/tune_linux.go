package tcp

import (
	"net"

	"golang.org/x/sys/unix"
)

// tune chooses BBR for what this end sends, where the kernel has it and lets
// us: unlike CUBIC, most hosts' default, it does not take every lost packet for
// a full queue (draft-ietf-ccwg-bbr). It reports whether that is so now.
func tune(conn net.Conn) (bbr bool) {
	control(conn, func(fd int) {
		bbr = unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "bbr") == nil
	})
	return bbr
}

// lossy reports whether one in 200 segments or more had to be sent again.
func lossy(conn net.Conn) (many bool) {
	control(conn, func(fd int) {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		many = err == nil && uint64(info.Total_retrans)*200 > uint64(info.Segs_out)
	})
	return many
}

// control calls f with the descriptor of a TCP connection, unless it is closed or
// of another kind.
func control(conn net.Conn, f func(fd int)) {
	if c, ok := conn.(*net.TCPConn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { f(int(fd)) })
		}
	}
}
