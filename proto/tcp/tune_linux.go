package tcp

import (
	"net"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

// useBBR asks the kernel to send on conn with the congestion control BBR
// (draft-ietf-ccwg-bbr, socket option TCP_CONGESTION) and reports whether the
// kernel does. CUBIC, the default of most hosts, halves its rate for packets
// lost for any reason; BBR does not take every lost packet for a full queue.
func useBBR(conn net.Conn) bool {
	c, ok := kernelSocket(conn)
	return ok && rawfd.Control(c, func(fd uintptr) error {
		return unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "bbr")
	}) == nil
}

// kernelSocket returns the socket below a connection: those of a relay and of TLS return
// the one that they use from a method NetConn.
func kernelSocket(conn net.Conn) (*net.TCPConn, bool) {
	for {
		switch c := conn.(type) {
		case *net.TCPConn:
			return c, true
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return nil, false
		}
	}
}

// isLossy reports whether at least one in 200 segments had to be retransmitted
// (socket option TCP_INFO).
func isLossy(conn net.Conn) (lossy bool) {
	c, ok := kernelSocket(conn)
	if !ok {
		return false
	}
	_ = rawfd.Control(c, func(fd uintptr) error {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		lossy = err == nil && uint64(info.Total_retrans)*200 > uint64(info.Segs_out)
		return err
	})
	return lossy
}
