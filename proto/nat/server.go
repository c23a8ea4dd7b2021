package nat

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// The limits of a [Server]. A source is an IPv4 address, or an IPv6 network of 56 bits.
const (
	// MaxAnswersOfSource and MaxAnswers bound the answers in a second.
	MaxAnswersOfSource = 20
	MaxAnswers         = 2000
	// MaxTCPOfSource and MaxTCP bound the connections at a time, TCPLife the time that each
	// may stay: it holds the mapping of a port while its owner opens a path.
	MaxTCPOfSource = 8
	MaxTCP         = 1024
	TCPLife        = 120 * time.Second
)

// Server answers Binding requests of STUN. It needs no secret and keeps nothing of who asks.
type Server struct {
	blocked func(netip.Addr) bool

	mu       sync.Mutex
	second   time.Time // when the second began that answered counts
	answered map[netip.Prefix]int
	all      int
	open     map[netip.Prefix]int // connections
	conns    map[net.Conn]bool
	closed   bool
	stats    ServerStats
	wg       sync.WaitGroup
}

// ServerStats are the numbers of a Server: the answers over UDP and TCP and the requests
// above a limit since it was made, and the connections of now.
type ServerStats struct{ UDP, TCP, Limited, Connections uint64 }

// NewServer returns a server. Nobody at an address that is blocked gets an answer; nil
// stands for no such address.
func NewServer(blocked func(netip.Addr) bool) *Server {
	if blocked == nil {
		blocked = func(netip.Addr) bool { return false }
	}
	return &Server{blocked: blocked, answered: map[netip.Prefix]int{}, open: map[netip.Prefix]int{}, conns: map[net.Conn]bool{}}
}

// Stats returns the numbers.
func (s *Server) Stats() ServerStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.stats
	n.Connections = uint64(len(s.conns))
	return n
}

// sourceOf returns what the limits count as one.
func sourceOf(a netip.Addr) netip.Prefix {
	bits := 56
	if a.Is4() {
		bits = 32
	}
	p, _ := a.WithZone("").Prefix(bits)
	return p
}

// mayAnswer counts an answer, unless one of the limits is reached. The map has no more
// sources than there are answers in a second, whatever addresses somebody forges.
func (s *Server) mayAnswer(from netip.Addr) bool {
	source, now := sourceOf(from), time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.second) >= time.Second {
		s.second, s.all = now, 0
		clear(s.answered)
	}
	if s.answered[source] >= MaxAnswersOfSource || s.all >= MaxAnswers {
		s.stats.Limited++
		return false
	}
	s.answered[source]++
	s.all++
	return true
}

func (s *Server) count(n *uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n++
}

// ServeUDP answers at one or two sockets until ctx ends, and closes them then. A request at
// one socket for an answer from the other port gets it from the other socket, at the address
// that it came from.
func (s *Server) ServeUDP(ctx context.Context, conns ...net.PacketConn) {
	sockets := make([]*socket, len(conns))
	for i, c := range conns {
		sockets[i] = newSocket(c)
	}
	stop := context.AfterFunc(ctx, func() {
		for _, c := range conns {
			_ = c.Close()
		}
	})
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for i, own := range sockets {
		var other *socket
		if len(sockets) == 2 {
			other = sockets[1-i]
		}
		wg.Go(func() { s.serveSocket(ctx, own, other) })
	}
}

// readPause is the wait after a read that failed although the socket is open.
const readPause = 50 * time.Millisecond

func (s *Server) serveSocket(ctx context.Context, own, other *socket) {
	b := make([]byte, MaxSTUNBytes+1)
	for {
		n, from, control, err := own.read(b)
		switch {
		case err == nil:
			s.answerUDP(own, other, b[:n], from, control)
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default:
			select {
			case <-time.After(readPause):
			case <-ctx.Done():
				return
			}
		}
	}
}

func (s *Server) answerUDP(own, other *socket, request []byte, from netip.AddrPort, control []byte) {
	at := netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	if !IsSTUN(request) || at.Port() == 0 || s.blocked(at.Addr()) {
		return
	}
	answer, ok := Answer(nil, request, at)
	if ChangePort(request) {
		if other == nil {
			answer, ok = refuseChange(request)
		} else {
			own = other
		}
	}
	if !ok || !s.mayAnswer(at.Addr()) {
		return
	}
	s.count(&s.stats.UDP) // before the asker can know
	_ = own.write(answer, from, control)
}

// ServeTCP answers the requests that come over a connection, and closes it: after
// [TCPLife], at the first thing that is no request, and if there are too many.
func (s *Server) ServeTCP(c net.Conn, from netip.AddrPort) {
	defer c.Close()
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	if !s.enter(c, from.Addr()) {
		return
	}
	defer s.leave(c, from.Addr())
	_ = c.SetDeadline(time.Now().Add(TCPLife))
	b := make([]byte, MaxSTUNBytes)
	for {
		request, err := readMessage(c, b)
		if err != nil || !s.mayAnswer(from.Addr()) {
			return
		}
		answer, ok := Answer(nil, request, from)
		if ChangePort(request) {
			answer, ok = refuseChange(request)
		}
		if !ok {
			return
		}
		s.count(&s.stats.TCP)
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// readMessage reads one message of a stream into b, whose length bounds it.
func readMessage(r io.Reader, b []byte) ([]byte, error) {
	if _, err := io.ReadFull(r, b[:headerBytes]); err != nil {
		return nil, err
	}
	n := headerBytes + int(binary.BigEndian.Uint16(b[2:]))
	if n > len(b) || b[0]>>6 != 0 || binary.BigEndian.Uint32(b[4:]) != magicCookie {
		return nil, errors.New("not a STUN message")
	}
	_, err := io.ReadFull(r, b[headerBytes:n])
	return b[:n], err
}

// enter gives a connection one of the places of its source.
func (s *Server) enter(c net.Conn, from netip.Addr) bool {
	source := sourceOf(from)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.blocked(from) {
		return false
	}
	if s.open[source] >= MaxTCPOfSource || len(s.conns) >= MaxTCP {
		s.stats.Limited++
		return false
	}
	s.open[source]++
	s.conns[c] = true
	s.wg.Add(1)
	return true
}

func (s *Server) leave(c net.Conn, from netip.Addr) {
	source := sourceOf(from)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[source]--; s.open[source] == 0 {
		delete(s.open, source)
	}
	delete(s.conns, c)
	s.wg.Done()
}

// Close closes all connections, and takes no more.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// socket is a UDP socket that answers from the address at which a request has arrived. A
// machine may have several, and the asker's router drops what comes from another one.
type socket struct {
	conn net.PacketConn
	udp  *net.UDPConn // nil for other kinds
	oob  [128]byte
}

func newSocket(c net.PacketConn) *socket {
	s := &socket{conn: c}
	if udp, ok := c.(*net.UDPConn); ok {
		s.udp = udp
		askArrival(udp)
	}
	return s
}

// read returns a datagram, where it came from, and what makes an answer leave from the
// address at which it arrived.
func (s *socket) read(b []byte) (n int, from netip.AddrPort, control []byte, err error) {
	if s.udp == nil {
		n, addr, err := s.conn.ReadFrom(b)
		if u, ok := addr.(*net.UDPAddr); ok {
			from = u.AddrPort()
		}
		return n, from, nil, err
	}
	n, oobn, _, from, err := s.udp.ReadMsgUDPAddrPort(b, s.oob[:])
	return n, from, answerFrom(s.oob[:oobn]), err
}

func (s *socket) write(b []byte, to netip.AddrPort, control []byte) error {
	if s.udp == nil {
		_, err := s.conn.WriteTo(b, net.UDPAddrFromAddrPort(to))
		return err
	}
	_, _, err := s.udp.WriteMsgUDPAddrPort(b, control, to)
	return err
}
