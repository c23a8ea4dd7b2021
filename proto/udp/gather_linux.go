package udp

import (
	"bytes"
	"encoding/binary"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// fullBatchBytes is the least that quic-go gives to the kernel at once when
	// more follows: it packs segments of one size into 20 KiB, as many as fit.
	fullBatchBytes = 16 << 10

	// gatherBytes and gatherSegments are what one send may have at most: the
	// largest IPv4 datagram and the kernel's UDP_MAX_SEGMENTS.
	gatherBytes    = 65507
	gatherSegments = 64
)

// gatherer makes one send of several batches: a way through the kernel has a
// price of its own, for the sender and for who reads, and copying 20 KiB costs
// less.
//
// A full batch is held back for the next one, which quic-go's sender goroutine
// most often has in its queue already. Whatever comes next and does not fit
// lets it go first, and so does a goroutine that waits for the processor from
// then on: it gets it when the sender's queue is empty. Nothing but full
// batches is ever held, so a lone packet is not delayed.
type gatherer struct {
	sync.Mutex
	proven  bool // the kernel has taken a full batch, and no send of several has failed
	held    []byte
	oob     []byte // of what is held
	addr    net.UDPAddr
	segment int

	waiting  bool // releaseHeld is on its way
	releases sync.WaitGroup
}

// write sends b, at once or with what follows.
func (c *Conn) write(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	g := &c.out
	g.Lock()
	defer g.Unlock()
	segment := sendSegment(oob)
	full := segment > 0 && len(b) >= fullBatchBytes && len(b)%segment == 0
	if len(g.held) > 0 {
		if !g.fits(b, oob, addr) {
			c.release()
		} else {
			g.held = append(g.held, b...)
			if !full || tooMany(len(g.held)+len(b), segment) {
				c.release()
			}
			return len(b), len(oob), nil
		}
	}
	if full && g.proven && !tooMany(2*len(b), segment) {
		c.hold(b, oob, addr, segment)
		return len(b), len(oob), nil
	}
	n, oobn, err = c.send(b, oob, addr)
	g.proven = g.proven || full && err == nil
	return n, oobn, err
}

func tooMany(size, segment int) bool {
	return size > gatherBytes || size > gatherSegments*segment
}

// fits reports whether b may leave with what is held.
func (g *gatherer) fits(b, oob []byte, addr *net.UDPAddr) bool {
	return !tooMany(len(g.held)+len(b), g.segment) && bytes.Equal(oob, g.oob) &&
		addr.Port == g.addr.Port && addr.Zone == g.addr.Zone && addr.IP.Equal(g.addr.IP)
}

// hold keeps b until release.
func (c *Conn) hold(b, oob []byte, addr *net.UDPAddr, segment int) {
	g := &c.out
	if g.held == nil {
		g.held = make([]byte, 0, gatherBytes)
	}
	g.held = append(g.held, b...)
	g.oob = append(g.oob[:0], oob...)
	g.addr = net.UDPAddr{IP: append(g.addr.IP[:0], addr.IP...), Port: addr.Port, Zone: addr.Zone}
	g.segment = segment
	if !g.waiting {
		g.waiting = true
		g.releases.Go(c.releaseHeld)
	}
}

// releaseHeld is the end of a hold when nothing else has ended it.
func (c *Conn) releaseHeld() {
	c.out.Lock()
	defer c.out.Unlock()
	c.out.waiting = false
	c.release()
}

// release sends what is held. There is nobody to take an error: what it says
// of the path or the socket, the next full batch, which is not held, will meet
// itself.
func (c *Conn) release() {
	g := &c.out
	if len(g.held) == 0 {
		return
	}
	if _, _, err := c.send(g.held, g.oob, &g.addr); err != nil {
		g.proven = false
		c.lost.Add(1)
	}
	g.held = g.held[:0]
}

// sendSegment returns the size of the segments that oob asks the kernel to cut
// (UDP_SEGMENT), or 0.
func sendSegment(oob []byte) int {
	for len(oob) >= unix.CmsgLen(0) {
		h, body, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return 0
		}
		if h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_SEGMENT && len(body) >= 2 {
			return int(binary.NativeEndian.Uint16(body))
		}
		oob = rest
	}
	return 0
}

// Close closes the socket. What calls of it have not done yet ends with an
// error.
func (c *Conn) Close() error {
	err := c.UDPConn.Close()
	c.out.Lock()
	c.out.proven = false // for good: no send succeeds any more, and so none is held
	c.out.Unlock()
	c.out.releases.Wait()
	return err
}
