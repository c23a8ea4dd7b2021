package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/udp"
)

// portAttempts is how many free UDP ports are tried until one is free for TCP too.
const portAttempts = 16

// dialEndpoint returns the endpoint for dialling. A process that has not waited gets one
// without a TCP listener.
func (n *Node) dialEndpoint() (*link.Endpoint, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.endpoint != nil {
		return n.endpoint, nil
	}
	var err error
	n.endpoint, err = n.openDialer(n.Key, n.listenAddr())
	return n.endpoint, err
}

// aliasEndpoint returns the endpoint for dialling this node itself: with a second key,
// which lives as long as the process, on a socket of its own. The two ends of a link
// always have two keys; with a token, whose secret is proof enough, two processes of
// one user on one machine can link all the same.
func (n *Node) aliasEndpoint() (*link.Endpoint, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.alias != nil {
		return n.alias, nil
	}
	key, err := identity.NewKey()
	if err != nil {
		return nil, err
	}
	_ = n.Ledger.NoteAlias(key.ID().String(), n.Key.ID().String()) // else a repeated delivery sends again what is there
	n.alias, err = n.openDialer(key, ":0")
	return n.alias, err
}

// openDialer opens an endpoint without a TCP listener.
func (n *Node) openDialer(key *identity.Key, addr string) (*link.Endpoint, error) {
	s := link.Sockets{DialTCP: n.dialTCP()}
	if n.uses(proto.ViaQUIC) {
		var err error
		if s.UDP, err = n.listenUDP(addr); err != nil {
			return nil, socketError(err)
		}
	}
	return n.openEndpoint(key, s)
}

// listenEndpoint returns the endpoint for waiting, with UDP and TCP on one port if both
// are wanted. If a dial has opened the UDP socket already, TCP must have that port.
//
// lasting says that peers come back later: then the default port is [DefaultPort], or a
// free one if that is taken.
func (n *Node) listenEndpoint(lasting bool) (*link.Endpoint, error) {
	host, port, err := splitListen(n.listenAddr())
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.endpoint != nil {
		return n.endpoint, socketError(n.addTCP(n.listenAddr(), host))
	}
	if n.options.Listen == "" && lasting {
		n.endpoint, err = n.openListener(host, DefaultPort)
		if err == nil || !isInUse(err) {
			return n.endpoint, err
		}
	}
	taken := err
	if n.endpoint, err = n.openListener(host, port); err == nil && taken != nil {
		n.Warn(fmt.Errorf("port %s is taken: this one listens at %s", DefaultPort, n.endpoint.Addr()))
	}
	return n.endpoint, err
}

// openListener opens the endpoint for waiting at host and port.
func (n *Node) openListener(host, port string) (e *link.Endpoint, err error) {
	addr := net.JoinHostPort(host, port)
	s := link.Sockets{DialTCP: n.dialTCP()}
	for try := 1; ; try++ {
		if n.uses(proto.ViaQUIC) {
			if s.UDP, err = n.listenUDP(addr); err != nil {
				return nil, socketError(err)
			}
		}
		if !n.uses(proto.ViaTCP) {
			break
		}
		if s.TCP, err = n.listenTCP(tcpAddr(addr, host, s.UDP)); err == nil {
			break
		}
		if s.UDP != nil {
			_ = s.UDP.Close()
		}
		if s.UDP == nil || port != "0" || !isInUse(err) || try == portAttempts {
			return nil, socketError(err)
		}
	}
	return n.openEndpoint(n.Key, s)
}

// addTCP gives the open endpoint a TCP listener beside its UDP socket. It is called
// with mu held.
func (n *Node) addTCP(addr, host string) error {
	if !n.uses(proto.ViaTCP) {
		return nil
	}
	if n.uses(proto.ViaQUIC) {
		addr = net.JoinHostPort(host, portOf(n.endpoint.Addr()))
	}
	l, err := n.listenTCP(addr)
	if err == nil {
		n.endpoint.AcceptTCP(l)
	}
	return err
}

// tcpAddr returns where TCP listens: on the port of the UDP socket, if there is one.
func tcpAddr(addr, host string, udp net.PacketConn) string {
	if udp == nil {
		return addr
	}
	return net.JoinHostPort(host, portOf(udp.LocalAddr()))
}

func portOf(addr net.Addr) string {
	_, port, _ := net.SplitHostPort(addr.String()) // of a socket: always valid
	return port
}

func (n *Node) listenAddr() string {
	if n.options.Listen == "" {
		return ":0"
	}
	return n.options.Listen
}

// DefaultPort is the port of a listener that runs until it is stopped, and of an address
// without a port.
const DefaultPort = "4600"

// WithPort returns addr with the default port if it has none. It does not check addr.
func WithPort(addr string) string {
	if host := strings.Trim(addr, "[]"); host != "" && (!strings.Contains(host, ":") || isIPv6(host)) {
		return net.JoinHostPort(host, DefaultPort)
	}
	return addr
}

func isIPv6(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Is6()
}

// splitListen checks the form of an address to listen on: HOST, HOST:PORT or :PORT.
func splitListen(addr string) (host, port string, err error) {
	if _, err = strconv.Atoi(addr); err != nil { // a port alone is no host
		addr = WithPort(addr)
	}
	host, port, err = net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		err = proto.Errorf(proto.Usage, "listen on %q: want HOST, HOST:PORT or :PORT, a port from 0 to 65535", addr)
		return "", "", proto.Hint(err, "--listen :4600 takes all addresses of this machine")
	}
	return host, port, nil
}

// uses reports whether a socket for a transport is opened: a link through a relay needs none.
func (n *Node) uses(transport string) bool {
	direct, _ := n.options.Via.Reaches()
	return direct && n.options.Via.Uses(transport)
}

// boundTo returns where a waiting endpoint listens; nil without a socket.
func (n *Node) boundTo(e *link.Endpoint) net.Addr {
	if !n.uses(proto.ViaQUIC) && !n.uses(proto.ViaTCP) {
		return nil
	}
	return e.Addr()
}

// dialTCP returns the function that makes TCP connections; nil if there are to be
// none.
func (n *Node) dialTCP() func(ctx context.Context, network, addr string) (net.Conn, error) {
	if !n.uses(proto.ViaTCP) {
		return nil
	}
	return new(net.Dialer).DialContext
}

func (n *Node) listenTCP(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return nil, fmt.Errorf("listen tcp %s: %w", addr, op.Err)
	}
	if err != nil {
		return nil, err
	}
	n.Log.Info("socket open", "tcp", l.Addr())
	return l, nil
}

func (n *Node) listenUDP(addr string) (net.PacketConn, error) {
	// quic-go would print a warning of its own; the sizes are logged below.
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

func (n *Node) openEndpoint(key *identity.Key, s link.Sockets) (*link.Endpoint, error) {
	e, err := link.Open(key, s, n.Log)
	if err != nil {
		return nil, err
	}
	e.Window, e.Fault, e.Changed = n.options.Window, (&faults{node: n}).report, n.nextChange
	if n.options.Board != nil {
		e.Refused = n.options.Board.Refused
	}
	return e, nil
}

func (n *Node) closeEndpoints() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range []*link.Endpoint{n.endpoint, n.alias} {
		if e != nil {
			_ = e.Close()
		}
	}
}

// socketError gives a socket that cannot be opened its exit code and a hint.
func socketError(err error) error {
	switch {
	case err == nil:
		return nil
	case isNotOurs(err):
		return proto.Hint(proto.Errorf(proto.Config, "%w", err), "--listen takes an address of this machine, or :PORT for all of them")
	case isInUse(err):
		return proto.Hint(proto.Errorf(proto.IO, "%w", err), "another process has that port: choose another, or 0 for a free one")
	case errors.Is(err, fs.ErrPermission):
		return proto.Hint(proto.Errorf(proto.IO, "%w", err), "ports below 1024 are for root: choose another")
	}
	return proto.IOError(err)
}
