// Package udp is a UDP socket for QUIC with a high throughput. A [Conn] serves as
// quic.Transport.Conn in place of a *net.UDPConn and keeps the features that quic-go
// uses on one: GSO, ECN, path MTU discovery. It adds:
//
//   - large socket buffers (SO_RCVBUF, SO_SNDBUF), and their actual sizes;
//   - on Linux, generic receive offload (UDP_GRO): the kernel coalesces datagrams,
//     one system call reads up to 64 KiB of them, and the Conn splits them again.
//     It hands them over no faster than quic-go processes them;
//   - on Linux, one send for several batches of segments to one address
//     (UDP_SEGMENT, GSO);
//   - a packet that can't be sent for a passing reason (link down, a firewall, full
//     queues) counts as lost, where quic-go would close the connection;
//   - on Linux, reports of ICMP "port unreachable" (IP_RECVERR).
//
// quic-go prints a warning to standard error if the socket buffers are below 7 MiB. A
// program that reports [Conn.Buffers] itself sets the environment variable
// QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING.
package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
)

// BufferBytes is the size that Listen requests for each of the socket's two buffers.
const BufferBytes = 8 << 20

// sendAttempts bounds how often a send of one packet is tried, see WriteMsgUDP.
const sendAttempts = 3

// Conn is an unconnected UDP socket. Its methods may be called from several
// goroutines; several readers take turns.
//
// Many datagrams may share a source address that a read returns: the caller must not
// change it.
type Conn struct {
	*net.UDPConn

	// OnUnreachable, if not nil, is called with a destination whose host has sent
	// an ICMP "port unreachable" (RFC 792): the host is up, but no process has that
	// port. Set it before the Conn is used. It is called from the goroutine that
	// reads or sends, so it must not block. Linux only.
	//
	// It is no more than a hint. ICMP is not authenticated: anyone on the path, and
	// many off it, can forge one for a healthy peer. Act on it only if nothing comes
	// from that peer either.
	OnUnreachable func(netip.AddrPort)

	lost atomic.Uint64
	socket
}

// Listen opens a socket on addr, "host:port". Without a host the socket has all
// addresses of IPv4 and, where the machine has it, IPv6; port 0 is any free port.
func Listen(addr string) (*Conn, error) {
	pc, err := net.ListenPacket("udp", addr)
	if err != nil {
		// A net.OpError contains the address in some cases only.
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

// Buffers returns the sizes of the socket's receive and send buffer in bytes. They
// are below [BufferBytes] if the system has a lower limit, on Linux
// net.core.rmem_max and net.core.wmem_max.
func (c *Conn) Buffers() (recv, send int) { return c.recvBytes, c.sendBytes }

// Lost returns how many packets could not be sent and were counted as lost.
func (c *Conn) Lost() uint64 { return c.lost.Load() }

// WriteMsgUDP sends b to addr with the control messages in oob. If a packet can't be
// sent for a reason that may pass, it is dropped without an error and counted, see
// [Conn.Lost]. The errors that remain are: a packet that is too large (EMSGSIZE), by
// which quic-go finds the path MTU; a system without GSO; misuse; a closed socket.
//
// On Linux a large batch of segments may wait for the next one, see gatherer. An
// error of a batch that waited counts as a loss, and the next batch meets it again.
func (c *Conn) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	return c.write(b, oob, addr)
}

// send makes the system call of WriteMsgUDP.
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
		c.drainErrors()
		if shouldRetry(errno) {
			continue
		}
		break
	}
	if c.isPassing(err, oob, addr) {
		c.lost.Add(1)
		return len(b), len(oob), nil
	}
	return n, oobn, err
}

// WriteTo is WriteMsgUDP without control messages.
func (c *Conn) WriteTo(b []byte, addr net.Addr) (int, error) {
	to, ok := addr.(*net.UDPAddr)
	if !ok {
		return c.UDPConn.WriteTo(b, addr) // returns the right error
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

// WriteMsgUDPAddrPort is WriteMsgUDP with another type of address.
func (c *Conn) WriteMsgUDPAddrPort(b, oob []byte, addr netip.AddrPort) (n, oobn int, err error) {
	return c.WriteMsgUDP(b, oob, net.UDPAddrFromAddrPort(addr))
}
