package nat

import (
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// askArrival has the kernel say at which of its addresses each datagram has arrived. It
// fails on a socket of the other family.
func askArrival(c *net.UDPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1) != nil {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		}
	})
}

// answerFrom returns the control message that makes an answer leave from the address at
// which the datagram with this one arrived; nil if it does not say. A socket of both families
// has IPv4 addresses as IPv6 ones. The interface stays for the routing table to choose,
// but for link-local addresses.
func answerFrom(oob []byte) []byte {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) == unix.SizeofInet6Pktinfo:
			info := &unix.Inet6Pktinfo{Addr: [16]byte(m.Data)}
			if a := netip.AddrFrom16(info.Addr); a.IsLinkLocalUnicast() && !a.Is4In6() {
				return nil // the destination's zone has the interface
			}
			return unix.PktInfo6(info)
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) == unix.SizeofInet4Pktinfo:
			return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: [4]byte(m.Data[4:])})
		}
	}
	return nil
}
