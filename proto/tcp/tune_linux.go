package tcp

import (
	"net"

	"golang.org/x/sys/unix"
)

// tune chooses BBR for what this end sends, where the kernel has it and lets
// us: unlike CUBIC, most hosts' default, it does not take every lost packet for
// a full queue (draft-ietf-ccwg-bbr). It reports whether that is so now.
func tune(conn net.Conn) (bbr bool) {
	c, ok := conn.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		bbr = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "bbr") == nil
	})
	return bbr
}

// lossy reports whether one in 200 segments or more had to be sent again.
func lossy(conn net.Conn) (many bool) {
	c, ok := conn.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		many = err == nil && uint64(info.Total_retrans)*200 > uint64(info.Segs_out)
	})
	return many
}
