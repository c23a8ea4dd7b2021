// Package udp is one UDP socket made fit for bulk QUIC: a [Conn] goes into
// quic.Transport.Conn in place of a *net.UDPConn and keeps all that quic-go
// finds on one (GSO, ECN, path MTU discovery). What it adds:
//
//   - large socket buffers, and their true size for those who want to know;
//   - on Linux, datagrams that the kernel has coalesced (UDP_GRO) are read in
//     blocks of up to 64 KiB and cut here, which costs a fraction of the system
//     calls, and are handed over no faster than quic-go takes them;
//   - on Linux, several batches of segments for one address (GSO) leave in one
//     send;
//   - a packet that can't leave now (link down, a firewall, full queues) counts
//     as lost, as on any path, where quic-go would end the connection;
//   - on Linux, word that nobody listens at a destination any more.
//
// quic-go prints a warning to standard error when it finds the socket buffers
// below 7 MiB. A program that speaks for itself sets the environment variable
// QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING and reports [Conn.Buffers] instead.
package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
)

// BufferBytes is what Listen asks for as each of the socket's two buffers.
const BufferBytes = 8 << 20

// sendAttempts bounds how often one packet is given to the kernel, see WriteMsgUDP.
const sendAttempts = 3

// Conn is a UDP socket, not connected to any peer. Its methods may be called
// from several goroutines; several readers take turns.
//
// A source address that a read returns may be shared by many datagrams: it
// must not be changed.
type Conn struct {
	*net.UDPConn

	// OnUnreachable, if not nil, is told of a destination from whose host an
	// ICMP "port unreachable" has come: the host is up, the process has gone.
	// Set it before the Conn is used. It is called from whichever goroutine
	// was reading or sending, so it must be quick and must not block. Only
	// Linux has it.
	//
	// It is a hint and no more. ICMP carries no proof of its origin: anyone on
	// the path, and many off it, can forge one for a peer in good health. So
	// act on it only where nothing is heard from that peer either.
	OnUnreachable func(netip.AddrPort)

	lost atomic.Uint64
	socket
}

// Listen opens a socket on addr, "host:port". Without a host it takes IPv4 and,
// where this machine has it, IPv6; port 0 stands for any free one.
func Listen(addr string) (*Conn, error) {
	pc, err := net.ListenPacket("udp", addr)
	if err != nil {
		// A net.OpError has the address in some cases and lacks it in others.
		if op, ok := errors.AsType[*net.OpError](err); ok {
			err = op.Err
		}
		return nil, fmt.Errorf("listen udp %s: %w", addr, err)
	}
	c := &Conn{UDPConn: pc.(*net.UDPConn)}
	if err := c.setup(); err != nil {
		c.Close()
		return nil, fmt.Errorf("listen udp %s: %w", addr, err)
	}
	return c, nil
}

// Buffers returns the sizes of the socket's receive and send buffer in bytes.
// They are below [BufferBytes] where the system sets a lower limit, on Linux
// in net.core.rmem_max and net.core.wmem_max.
func (c *Conn) Buffers() (recv, send int) { return c.recvBytes, c.sendBytes }

// Lost returns how many packets could not be sent and were taken for lost.
func (c *Conn) Lost() uint64 { return c.lost.Load() }

// WriteMsgUDP sends b to addr with the control messages in oob. A packet that
// cannot leave for a reason that may pass is dropped without an error and
// counted, see [Conn.Lost]. Errors remain for a packet that is too large, which
// is how quic-go finds the path MTU, for a system that can't segment, for
// misuse and for a closed socket.
//
// On Linux a large batch of segments may wait for another, see gatherer: then
// an error of its own is taken for a loss, and it is the next that meets it.
func (c *Conn) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	return c.write(b, oob, addr)
}

// send gives b to the kernel, see WriteMsgUDP.
func (c *Conn) send(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	for range sendAttempts {
		n, oobn, err = c.UDPConn.WriteMsgUDP(b, oob, addr)
		if err == nil {
			return n, oobn, nil
		}
		errno, ok := errors.AsType[syscall.Errno](err)
		if !ok {
			return n, oobn, err
		}
		c.drain()
		if again(errno) {
			continue
		}
		break
	}
	if c.passing(err, oob, addr) {
		c.lost.Add(1)
		return len(b), len(oob), nil
	}
	return n, oobn, err
}

// WriteTo is WriteMsgUDP without control messages.
func (c *Conn) WriteTo(b []byte, addr net.Addr) (int, error) {
	to, ok := addr.(*net.UDPAddr)
	if !ok {
		return c.UDPConn.WriteTo(b, addr) // has the right error for it
	}
	n, _, err := c.WriteMsgUDP(b, nil, to)
	return n, err
}

// WriteToUDP is WriteMsgUDP without control messages.
func (c *Conn) WriteToUDP(b []byte, addr *net.UDPAddr) (int, error) {
	n, _, err := c.WriteMsgUDP(b, nil, addr)
	return n, err
}

// WriteToUDPAddrPort is WriteMsgUDP without control messages.
func (c *Conn) WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error) {
	return c.WriteToUDP(b, net.UDPAddrFromAddrPort(addr))
}

// WriteMsgUDPAddrPort is WriteMsgUDP for another type of address.
func (c *Conn) WriteMsgUDPAddrPort(b, oob []byte, addr netip.AddrPort) (n, oobn int, err error) {
	return c.WriteMsgUDP(b, oob, net.UDPAddrFromAddrPort(addr))
}
