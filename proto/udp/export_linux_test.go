package udp

import "golang.org/x/sys/unix"

// The parsers of control messages.
var (
	TakeSegment     = takeSegment
	PortUnreachable = portUnreachable
)

// SetYield sets after how many datagrams in a row c yields.
func SetYield(c *Conn, packets int) { c.in.yieldAfter = packets }

// DisableGRO makes the socket behave as on a kernel without UDP_GRO.
func DisableGRO(c *Conn) {
	_ = c.raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 0) })
}

// HoldForever keeps c from sending the held bytes before the next send.
func HoldForever(c *Conn) { c.out.waiting = true }

// Held returns how many bytes c holds back.
func Held(c *Conn) int {
	c.out.Lock()
	defer c.out.Unlock()
	return len(c.out.held)
}
