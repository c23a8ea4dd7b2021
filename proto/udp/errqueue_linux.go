package udp

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// errorQueue has the buffers to read one entry of the socket's error queue
// (MSG_ERRQUEUE, recvmsg(2)).
type errorQueue struct {
	control [512]byte // first, for its alignment
	hdr     unix.Msghdr
	name    unix.RawSockaddrInet6
}

func (q *errorQueue) init() {
	q.hdr.Name = (*byte)(unsafe.Pointer(&q.name))
	q.hdr.Control = &q.control[0]
}

// drainErrors empties the error queue and thereby clears the socket's error. It must
// run after each failed call: entries occupy the receive buffer, and the kernel also
// queues its own EMSGSIZE there.
func (c *Conn) drainErrors() { _ = c.raw.Control(c.drainFD) }

func (c *Conn) drainFD(fd uintptr) {
	for {
		addr, refused, ok := c.nextError(fd)
		if !ok {
			return
		}
		if refused && c.OnUnreachable != nil {
			c.OnUnreachable(addr)
		}
	}
}

// nextError removes one entry from the error queue. It returns the destination of the
// failed packet and whether its host reported "port unreachable"; ok is false if the
// queue is empty.
func (c *Conn) nextError(fd uintptr) (addr netip.AddrPort, refused, ok bool) {
	c.errs.Lock()
	defer c.errs.Unlock()
	q := &c.errs.queue
	for {
		q.hdr.Namelen = unix.SizeofSockaddrInet6
		q.hdr.SetControllen(len(q.control))
		_, _, errno := unix.Syscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&q.hdr)),
			unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return netip.AddrPort{}, false, false
		}
		break
	}
	from, valid := parseSource(&q.name, q.hdr.Namelen)
	return from.addrPort(), valid && portUnreachable(q.control[:q.hdr.Controllen]), true
}

// portUnreachable reports whether the control messages of an entry of the error queue
// contain a struct sock_extended_err for an ICMP or ICMPv6 "port unreachable".
func portUnreachable(control []byte) bool {
	for len(control) >= unix.CmsgLen(0) {
		h, body, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			return false
		}
		control = rest
		if len(body) < 16 ||
			(h.Level != unix.IPPROTO_IP || h.Type != unix.IP_RECVERR) &&
				(h.Level != unix.IPPROTO_IPV6 || h.Type != unix.IPV6_RECVERR) {
			continue
		}
		errno, origin, typ, code := binary.NativeEndian.Uint32(body), body[4], body[5], body[6]
		if errno != uint32(unix.ECONNREFUSED) {
			continue
		}
		// Destination unreachable, port unreachable: RFC 792 and RFC 4443, 3.1.
		return origin == unix.SO_EE_ORIGIN_ICMP && typ == 3 && code == 3 ||
			origin == unix.SO_EE_ORIGIN_ICMP6 && typ == 1 && code == 4
	}
	return false
}
