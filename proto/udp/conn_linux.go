package udp

import (
	"errors"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// socket is the part of a Conn that only Linux has.
type socket struct {
	recvBytes, sendBytes int // sizes of the socket's buffers

	raw syscall.RawConn
	in  reader
	out gatherer

	errs struct {
		sync.Mutex
		queue errorQueue
	}
}

// setup sets the socket's options. A kernel or a sandbox may lack any of them; the
// Conn works without them, but slower.
func (c *Conn) setup() error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	c.raw = raw
	c.in.init(c)
	c.errs.queue.init()
	return raw.Control(func(fd uintptr) {
		s := int(fd)
		c.recvBytes = enlargeBuffer(s, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF)
		c.sendBytes = enlargeBuffer(s, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF)
		_ = unix.SetsockoptInt(s, unix.IPPROTO_UDP, unix.UDP_GRO, 1)
		// A dual-stack socket needs both; an IPv4 socket refuses the second.
		_ = unix.SetsockoptInt(s, unix.IPPROTO_IP, unix.IP_RECVERR, 1)
		_ = unix.SetsockoptInt(s, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
	})
}

// enlargeBuffer requests BufferBytes with SO_RCVBUFFORCE or SO_SNDBUFFORCE, which
// exceeds the system's limit but needs CAP_NET_ADMIN, or else as much as the limit
// allows. It returns the size in effect in the terms of the request: the kernel
// doubles it for its own bookkeeping and reports the double (socket(7)).
func enlargeBuffer(fd, force, option int) int {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, BufferBytes) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, BufferBytes)
	}
	size, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, option)
	if err != nil {
		return 0
	}
	return size / 2
}

// isFromICMP reports whether an ICMP or ICMPv6 message may have caused errno. With
// IP_RECVERR the kernel fails the next system call on the socket with the error of an
// earlier packet to any destination. That call may be a read, or a send to another
// peer, and is then not executed. So such an error says nothing about the call that
// returns it. (The kernel's tables are icmp_err_convert and icmpv6_err_convert.)
func isFromICMP(errno syscall.Errno) bool {
	switch errno {
	case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ENONET,
		unix.ENOPROTOOPT, unix.EOPNOTSUPP, unix.EPROTO, unix.EACCES, unix.EMSGSIZE:
		return true
	}
	return false
}

// shouldRetry reports whether a failed send is worth another attempt after the error
// queue was drained. Either the error was that of another packet, or it is the EPERM
// that netfilter's connection tracking returns now and then for the first packet of a
// flow (golang.org/issue/63322), which quic-go retries too.
func shouldRetry(errno syscall.Errno) bool { return isFromICMP(errno) || errno == unix.EPERM }

// isPassing reports whether a failed send is no more than a lost packet: no route or
// link, a firewall, no room. ENOBUFS is a full queue of the interface, which Linux
// reports only if IP_RECVERR is set.
func (c *Conn) isPassing(err error, oob []byte, addr *net.UDPAddr) bool {
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return false
	}
	switch errno {
	case unix.EMSGSIZE:
		return false
	case unix.ENETDOWN, unix.EPERM, unix.ENOBUFS, unix.ENOMEM, unix.EADDRNOTAVAIL, unix.ENODEV:
		return true
	case unix.EINVAL:
		return c.sourceGone(oob, addr)
	}
	return isFromICMP(errno)
}

// sourceGone reports whether the source address in oob (IP_PKTINFO, IPV6_PKTINFO) is
// the cause of an EINVAL: an interface that goes down takes its addresses along, and
// a listener on all addresses sends each packet with one. To exclude the other causes
// of EINVAL, such as a segment size that is not valid, it sends an empty datagram with
// the same source, which QUIC ignores.
func (c *Conn) sourceGone(oob []byte, addr *net.UDPAddr) bool {
	for rest := oob; len(rest) >= unix.CmsgLen(0); {
		h, _, next, err := unix.ParseOneSocketControlMessage(rest)
		if err != nil {
			return false
		}
		if h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO ||
			h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO {
			_, _, err := c.UDPConn.WriteMsgUDP(nil, rest[:len(rest)-len(next)], addr)
			return errors.Is(err, unix.EINVAL)
		}
		rest = next
	}
	return false
}
