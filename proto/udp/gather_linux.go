package udp

import (
	"bytes"
	"encoding/binary"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// fullBatchBytes is the least that quic-go sends at once if more follows: it
	// packs as many segments of one size as fit into 20 KiB.
	fullBatchBytes = 16 << 10

	// gatherBytes and gatherSegments bound one send: the largest IPv4 datagram, and
	// the kernel's UDP_MAX_SEGMENTS.
	gatherBytes    = 65507
	gatherSegments = 64
)

// gatherer makes one send of several batches. A pass through the kernel costs both the
// sender and the receiver more than copying 20 KiB does.
//
// A full batch is held for the next one, which quic-go's sender goroutine usually has
// in its queue already. The held bytes are sent before the next batch if that does not
// fit. Otherwise a goroutine sends them: it becomes runnable when they are held, and
// the scheduler runs it when the sender's queue is empty. Only full batches are held,
// so a single packet is not delayed.
type gatherer struct {
	sync.Mutex
	proven  bool // the kernel has accepted a full batch, and no send of several batches has failed
	held    []byte
	oob     []byte // control messages of the held bytes
	addr    net.UDPAddr
	segment int

	waiting  bool // sendHeldLater is scheduled
	releases sync.WaitGroup
}

// write sends b, at once or together with later batches.
func (c *Conn) write(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	g := &c.out
	g.Lock()
	defer g.Unlock()
	segment := sendSegment(oob)
	full := segment > 0 && len(b) >= fullBatchBytes && len(b)%segment == 0
	if len(g.held) > 0 {
		if !g.fits(b, oob, addr) {
			c.sendHeld()
		} else {
			g.held = append(g.held, b...)
			if !full || tooMany(len(g.held)+len(b), segment) {
				c.sendHeld()
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

// fits reports whether b may be sent together with the held bytes.
func (g *gatherer) fits(b, oob []byte, addr *net.UDPAddr) bool {
	return !tooMany(len(g.held)+len(b), g.segment) && bytes.Equal(oob, g.oob) &&
		addr.Port == g.addr.Port && addr.Zone == g.addr.Zone && addr.IP.Equal(g.addr.IP)
}

// hold keeps b until sendHeld.
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
		g.releases.Go(c.sendHeldLater)
	}
}

// sendHeldLater sends the held bytes if no write has done so.
func (c *Conn) sendHeldLater() {
	c.out.Lock()
	defer c.out.Unlock()
	c.out.waiting = false
	c.sendHeld()
}

// sendHeld sends the held bytes. No caller waits for an error of theirs; after one, the
// next full batch is not held, so it meets the same state of path or socket itself.
func (c *Conn) sendHeld() {
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

// sendSegment returns the segment size that oob requests (UDP_SEGMENT), or 0.
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

// Close closes the socket. Calls in progress return an error.
func (c *Conn) Close() error {
	err := c.UDPConn.Close()
	c.out.Lock()
	c.out.proven = false // for ever: no later send succeeds, so none is held
	c.out.Unlock()
	c.out.releases.Wait()
	return err
}
