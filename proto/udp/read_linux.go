package udp

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

const (
	// blocks is how many blocks one system call reads at most. Coalesced traffic
	// gains nothing above one; a few make up for traffic that comes single.
	blocks = 4

	// blockBytes holds the largest block that the kernel coalesces. With less,
	// it would cut off the rest without a word.
	blockBytes = 1 << 16

	// yieldPackets is how many datagrams are read in a row before other
	// goroutines get the processor, see ReadBatch.
	yieldPackets = 64
)

// block is one read: a datagram, or several of one sender that the kernel has
// coalesced. They have the same size, but for the last, which may be shorter.
type block struct {
	control [512]byte // first, for its alignment
	iov     unix.Iovec
	name    unix.RawSockaddrInet6
	data    [blockBytes]byte
}

// reader reads blocks and hands out the datagrams in them.
type reader struct {
	sync.Mutex
	yieldAfter int // yieldPackets, but for tests
	recv       func(fd uintptr) bool
	mem        *[blocks]block
	hdrs       [blocks]unix.Mmsghdr
	known      sources

	read, next int           // blocks read, and the first not yet begun
	errno      syscall.Errno // of the last read
	woken      bool          // the poller has said that there is something
	row        int           // datagrams handed over since the last wait

	// The block begun, with more false when nothing of it is left.
	more    bool
	data    []byte // not yet handed over
	segment int    // size of a datagram in it
	control []byte
	flags   int
	addr    *net.UDPAddr

	one [1]ipv4.Message // for reads of a single datagram
	buf [1][]byte
}

func (r *reader) init(c *Conn) {
	r.yieldAfter = yieldPackets
	r.mem = new([blocks]block)
	for i := range r.mem {
		b, h := &r.mem[i], &r.hdrs[i].Hdr
		b.iov.Base = &b.data[0]
		b.iov.SetLen(len(b.data))
		h.Name = (*byte)(unsafe.Pointer(&b.name))
		h.Iov = &b.iov
		h.SetIovlen(1)
		h.Control = &b.control[0]
	}
	r.recv = func(fd uintptr) bool { return r.recvBlocks(c, fd) }
}

// ReadBatch waits for datagrams and reads as many as are there, at most one
// into each of ms; flags must be 0. quic-go calls it in place of recvmmsg.
//
// It yields after every 64 datagrams that were there without waiting. Between
// this reader and a connection quic-go has a queue of 256 packets and drops
// what exceeds it without a word, which its congestion control then takes for
// a bad path. A reader that gets 64 KiB at a time outruns that queue easily; by
// yielding it lets the connection work it off, and the excess waits in the
// socket's buffer, where it belongs.
//
// With GOMAXPROCS=1 nothing is dropped any more. With more it helps little, as
// the reader goes on at once on another processor. Holding back while more than
// 128 packets are not yet in quic-go's ConnectionStats drops nothing in either
// case, but ties the socket to each of its connections; it measured the same
// with one processor, and a quarter better with two, which is still half of
// what one gives.
func (c *Conn) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	if flags != 0 {
		return 0, &net.OpError{Op: "read", Net: "udp", Source: c.LocalAddr(), Err: syscall.EINVAL}
	}
	c.in.Lock()
	defer c.in.Unlock()
	return c.readBatch(ms)
}

func (c *Conn) readBatch(ms []ipv4.Message) (int, error) {
	r := &c.in
	if r.row >= r.yieldAfter {
		r.row = 0
		runtime.Gosched()
	}
	if !r.more && r.next == r.read {
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := 0
	for n < len(ms) && (r.more || r.next < r.read) {
		if !r.more && !r.begin() {
			continue
		}
		r.cut(&ms[n])
		n++
	}
	r.row += n
	return n, nil
}

// fill waits for blocks and reads them.
func (c *Conn) fill() error {
	r := &c.in
	for {
		r.read, r.next, r.errno, r.woken = 0, 0, 0, false
		err := c.raw.Read(r.recv)
		switch {
		case err == nil && r.errno == 0:
			return nil
		case err == nil:
			return &net.OpError{Op: "read", Net: "udp", Source: c.LocalAddr(), Err: os.NewSyscallError("recvmmsg", r.errno)}
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
			return err
		}
		// What is left is the poller's "not pollable": epoll told of nothing but
		// an error, as the send buffer is half full, and Go takes that for a
		// broken socket. The next event, data or room to send, makes it good
		// again; until then this waits rather than spins.
		c.drain()
		time.Sleep(time.Millisecond)
	}
}

// recvBlocks is called by the poller until it returns true.
func (r *reader) recvBlocks(c *Conn, fd uintptr) bool {
	for {
		for i := range r.hdrs {
			h := &r.hdrs[i].Hdr
			h.Namelen = unix.SizeofSockaddrInet6
			h.SetControllen(len(r.mem[i].control))
		}
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.hdrs[0])), blocks, 0, 0, 0)
		switch {
		case errno == 0:
			r.read = int(n)
			return true
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			if r.woken { // but not for data: there is an error
				c.drainFD(fd)
			}
			r.woken, r.row = true, 0
			return false
		case fromICMP(errno) || errno == unix.ENETDOWN:
			c.drainFD(fd)
		default:
			r.errno = errno
			return true
		}
	}
}

// begin takes up the next block. It reports false if that has no address of a
// kind known here, which does not happen on an IP socket.
func (r *reader) begin() bool {
	b, h := &r.mem[r.next], &r.hdrs[r.next]
	r.next++
	from, ok := parseSource(&b.name, h.Hdr.Namelen)
	if !ok {
		return false
	}
	r.addr = r.known.lookup(from)
	r.data = b.data[:h.Len]
	r.flags = int(h.Hdr.Flags)
	r.control, r.segment = takeSegment(b.control[:h.Hdr.Controllen])
	if r.segment <= 0 || r.segment > len(r.data) {
		r.segment = len(r.data)
	}
	r.more = true
	return true
}

// cut hands over the next datagram of the block begun.
func (r *reader) cut(m *ipv4.Message) {
	part := r.data[:min(r.segment, len(r.data))]
	r.data = r.data[len(part):]
	r.more = len(r.data) > 0

	m.Addr, m.N, m.Flags = r.addr, 0, r.flags
	for _, b := range m.Buffers {
		n := copy(b, part)
		part = part[n:]
		m.N += n
	}
	if len(part) > 0 {
		m.Flags |= unix.MSG_TRUNC
	}
	m.NN = copy(m.OOB, r.control)
	if m.NN < len(r.control) {
		m.Flags |= unix.MSG_CTRUNC
	}
}

// takeSegment removes the message with the size of the segments (UDP_GRO) from
// the control messages and returns the others, which are true of each segment.
// It returns 0 if there is none. quic-go's buffer for control messages has no
// room for it, besides.
func takeSegment(control []byte) (others []byte, segment int) {
	kept, rest := 0, control
	for len(rest) >= unix.CmsgLen(0) {
		h, body, next, err := unix.ParseOneSocketControlMessage(rest)
		if err != nil {
			break
		}
		size := len(rest) - len(next)
		if h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(body) >= 4 {
			segment = int(binary.NativeEndian.Uint32(body))
		} else {
			kept += copy(control[kept:], rest[:size])
		}
		rest = next
	}
	return control[:kept], segment
}

// readOne is for the methods of *net.UDPConn that read: on this socket they
// would return coalesced datagrams as one.
func (c *Conn) readOne(b, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error) {
	c.in.Lock()
	defer c.in.Unlock()
	r := &c.in
	r.buf[0] = b
	r.one[0] = ipv4.Message{Buffers: r.buf[:], OOB: oob}
	defer func() { r.buf[0], r.one[0] = nil, ipv4.Message{} }()
	for {
		if k, err := c.readBatch(r.one[:]); err != nil {
			return 0, 0, 0, nil, err
		} else if k == 1 {
			m := &r.one[0]
			return m.N, m.NN, m.Flags, m.Addr.(*net.UDPAddr), nil
		}
	}
}

// Read reads one datagram from anyone.
func (c *Conn) Read(b []byte) (int, error) {
	n, _, _, _, err := c.readOne(b, nil)
	return n, err
}

// ReadMsgUDP reads one datagram and its control messages.
func (c *Conn) ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error) {
	return c.readOne(b, oob)
}

// ReadMsgUDPAddrPort reads one datagram and its control messages.
func (c *Conn) ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error) {
	n, oobn, flags, from, err := c.readOne(b, oob)
	return n, oobn, flags, from.AddrPort(), err
}

// ReadFrom reads one datagram.
func (c *Conn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, _, _, addr, err := c.readOne(b, nil)
	if err != nil {
		return 0, nil, err
	}
	return n, addr, nil
}

// ReadFromUDP reads one datagram.
func (c *Conn) ReadFromUDP(b []byte) (int, *net.UDPAddr, error) {
	n, _, _, addr, err := c.readOne(b, nil)
	return n, addr, err
}

// ReadFromUDPAddrPort reads one datagram.
func (c *Conn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, _, _, addr, err := c.readOne(b, nil)
	return n, addr.AddrPort(), err
}
