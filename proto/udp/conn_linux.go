package udp

import (
	"errors"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// socket is what a Conn holds on Linux.
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

// setup gives the socket its options. Each may be missing in a kernel or a
// sandbox; the Conn works without, only slower.
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
		c.recvBytes = enlarge(s, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF)
		c.sendBytes = enlarge(s, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF)
		_ = unix.SetsockoptInt(s, unix.IPPROTO_UDP, unix.UDP_GRO, 1)
		// A dual-stack socket needs both, an IPv4 socket refuses the second.
		_ = unix.SetsockoptInt(s, unix.IPPROTO_IP, unix.IP_RECVERR, 1)
		_ = unix.SetsockoptInt(s, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
	})
}

// enlarge asks for a buffer beyond the system's limit, which needs
// CAP_NET_ADMIN, and else for as much as the limit allows. It returns the size
// in effect in the terms of the request: the kernel doubles it for its own
// bookkeeping, and reports the double.
func enlarge(fd, force, option int) int {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, BufferBytes) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, BufferBytes)
	}
	size, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, option)
	if err != nil {
		return 0
	}
	return size / 2
}

// fromICMP reports whether an ICMP or ICMPv6 message may have put errno on the
// socket. With IP_RECVERR the kernel makes the next system call fail with the
// error that an earlier packet to whomever has met, even a read, or a send to
// another peer, which is then not done. So such an error says nothing about
// the call that returns it. (The tables are icmp_err_convert and
// icmpv6_err_convert in the kernel.)
func fromICMP(errno syscall.Errno) bool {
	switch errno {
	case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ENONET,
		unix.ENOPROTOOPT, unix.EOPNOTSUPP, unix.EPROTO, unix.EACCES, unix.EMSGSIZE:
		return true
	}
	return false
}

// again reports whether a failed send is worth another attempt, now that the
// error queue is empty: either the error was another packet's, or it is the
// EPERM that netfilter's connection tracking gives now and then for the first
// packet of a flow (golang.org/issue/63322), for which quic-go tries twice, too.
func again(errno syscall.Errno) bool { return fromICMP(errno) || errno == unix.EPERM }

// passing reports whether a failed send is no more than a lost packet: no
// route or link, a firewall, no room. ENOBUFS is the interface's full queue,
// which Linux keeps to itself unless IP_RECVERR is set.
func (c *Conn) passing(err error, oob []byte, addr *net.UDPAddr) bool {
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
	return fromICMP(errno)
}

// sourceGone reports whether EINVAL came from the source address in oob, which
// a listener on all addresses gives with each packet: a link that goes down
// takes its addresses along. An empty datagram, which QUIC ignores, tells this
// from the other causes of EINVAL, such as segments that can't be made.
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
