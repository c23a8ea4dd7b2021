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
	// gains nothing above one; a few help if the kernel does not coalesce.
	blocks = 4

	// blockBytes is the size of the largest block that the kernel coalesces. It
	// would silently cut off what a smaller buffer can't hold.
	blockBytes = 1 << 16

	// yieldPackets is how many datagrams are read in a row before the reader yields
	// to other goroutines, see ReadBatch.
	yieldPackets = 64
)

// block is the result of one read: a datagram, or several of one sender that the
// kernel has coalesced. These have the same size, except that the last may be shorter.
type block struct {
	control [512]byte // first, for its alignment
	iov     unix.Iovec
	name    unix.RawSockaddrInet6
	data    [blockBytes]byte
}

// reader reads blocks and splits them into datagrams.
type reader struct {
	sync.Mutex
	yieldAfter int // yieldPackets; tests change it
	recv       func(fd uintptr) bool
	mem        *[blocks]block
	hdrs       [blocks]unix.Mmsghdr
	known      sources

	read, next int           // blocks that were read, and the first of them not yet split
	errno      syscall.Errno // of the last read
	woken      bool          // the poller has reported the socket as readable
	row        int           // datagrams returned since the last wait

	// The block that is being split; more is false if nothing of it is left.
	more    bool
	data    []byte // not yet returned
	segment int    // size of its datagrams
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

// ReadBatch waits for datagrams and reads as many as have arrived, at most one into
// each of ms; flags must be 0. quic-go calls it in place of recvmmsg(2).
//
// ReadBatch yields after every 64 datagrams that it returned without waiting. Between
// this reader and a connection quic-go has a queue of 256 packets. It silently drops
// packets that exceed the queue, which its congestion control then takes for losses of
// the path. A reader that gets 64 KiB at a time easily outruns that queue. Yielding
// lets the connection process it, while the excess waits in the socket's buffer.
//
// With GOMAXPROCS=1 nothing is dropped then. With more it helps little, since the
// reader continues at once on another processor. An alternative is to stop reading
// while more than 128 packets are missing in quic-go's ConnectionStats. It drops
// nothing in either case, but couples the socket to each of its connections. Measured,
// its throughput is the same with one processor, and a quarter higher with two, which
// is still half of that with one.
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
		if err := c.readBlocks(); err != nil {
			return 0, err
		}
	}
	n := 0
	for n < len(ms) && (r.more || r.next < r.read) {
		if !r.more && !r.nextBlock() {
			continue
		}
		r.nextDatagram(&ms[n])
		n++
	}
	r.row += n
	return n, nil
}

// readBlocks waits for blocks and reads them.
func (c *Conn) readBlocks() error {
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
		// The remaining error is the poller's "not pollable": epoll has reported
		// nothing but an error while the send buffer is half full, and Go takes
		// the socket for broken. The next event, data or room to send, repairs
		// it; until then sleep instead of spinning.
		c.drainErrors()
		time.Sleep(time.Millisecond)
	}
}

// recvBlocks reads blocks without waiting (recvmmsg(2)). The poller calls it until it
// returns true.
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
			if r.woken { // readable, but without data: there is an error
				c.drainFD(fd)
			}
			r.woken, r.row = true, 0
			return false
		case isFromICMP(errno) || errno == unix.ENETDOWN:
			c.drainFD(fd)
		default:
			r.errno = errno
			return true
		}
	}
}

// nextBlock starts to split the next block. It reports false if the sender's address is
// neither IPv4 nor IPv6, which does not happen on an IP socket.
func (r *reader) nextBlock() bool {
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

// nextDatagram copies the next datagram of the current block to m.
func (r *reader) nextDatagram(m *ipv4.Message) {
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

// takeSegment removes the control message with the segment size (UDP_GRO), for which
// quic-go's buffer has no room. It returns the segment size, 0 if there is none, and
// the other control messages, which hold for each segment.
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

// readOne implements the read methods of *net.UDPConn. The embedded ones would return
// coalesced datagrams as one.
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

// Read reads one datagram from any sender.
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
