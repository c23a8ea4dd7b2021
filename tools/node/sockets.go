package node

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/udp"
)

// portAttempts is how many free UDP ports are tried until one is free for TCP
// too.
const portAttempts = 16

// dialing opens the sockets of a process that dials.
func (n *Node) dialing(key *identity.Key) (*link.Endpoint, error) {
	var s link.Sockets
	if n.via != proto.ViaQUIC {
		s.DialTCP = new(net.Dialer).DialContext
	}
	if n.via != proto.ViaTCP {
		var err error
		if s.UDP, err = n.udp(":0"); err != nil {
			return nil, err
		}
	}
	return n.open(key, s)
}

// listening opens the sockets of a process that waits at addr: on one port, if
// both carriers are wanted.
func (n *Node) listening(key *identity.Key, addr string) (*link.Endpoint, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	var s link.Sockets
	for try := 1; ; try++ {
		at := addr
		if n.via != proto.ViaTCP {
			if s.UDP, err = n.udp(addr); err != nil {
				return nil, err
			}
			if n.via == proto.ViaQUIC {
				break
			}
			at = net.JoinHostPort(host, strconv.Itoa(s.UDP.LocalAddr().(*net.UDPAddr).Port))
		}
		if s.TCP, err = listenTCP(at); err == nil {
			n.Log.Info("socket open", "tcp", s.TCP.Addr())
			break
		}
		if s.UDP != nil {
			_ = s.UDP.Close()
		}
		if s.UDP == nil || port != "0" || !isInUse(err) || try == portAttempts {
			return nil, err
		}
	}
	return n.open(key, s)
}

func listenTCP(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return nil, fmt.Errorf("listen tcp %s: %w", addr, op.Err)
	}
	return l, err
}

func (n *Node) udp(addr string) (net.PacketConn, error) {
	// quic-go would print what we log below.
	if err := os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true"); err != nil {
		return nil, err
	}
	conn, err := udp.Listen(addr)
	if err != nil {
		return nil, err
	}
	recv, send := conn.Buffers()
	n.Log.Info("socket open", "udp", conn.LocalAddr(), "recv_buffer", recv, "send_buffer", send)
	return conn, nil
}

func (n *Node) open(key *identity.Key, s link.Sockets) (*link.Endpoint, error) {
	e, err := link.Open(key, s, n.Log)
	if err == nil {
		e.Window = n.window
	}
	return e, err
}
