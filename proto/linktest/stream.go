package linktest

import (
	"context"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// streamBytes bounds the bytes of a stream that were written and not read, as a
// kernel's buffers do.
const streamBytes = 256 << 10

// listenTCP returns the TCP of a new host.
func (n *Net) listenTCP(host net.IP) *streamListener {
	l := &streamListener{
		net:   n,
		addr:  &net.TCPAddr{IP: host, Port: 4600},
		conns: make(chan net.Conn, 1024), done: make(chan struct{}),
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changed.L = &n.mu
	if n.listeners == nil {
		n.listeners = make(map[string]*streamListener)
	}
	n.listeners[l.addr.String()] = l
	return l
}

// streamListener is the TCP of a host. It dials, and listens until it is closed.
type streamListener struct {
	net   *Net
	addr  *net.TCPAddr
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *streamListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *streamListener) Addr() net.Addr { return l.addr }

func (l *streamListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *streamListener) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	var to *streamListener
	rto := time.Second // RFC 6298, section 2.1
	for to == nil || l.net.held.Load() {
		wait := 2 * l.net.Latency
		if to != nil { // the SYN was lost
			wait, rto = rto, 2*rto
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		l.net.mu.Lock()
		to = l.net.listeners[addr]
		l.net.mu.Unlock()
		if to == nil {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	}
	select {
	case <-to.done:
		return nil, syscall.ECONNREFUSED
	default:
	}
	dialed, accepted := l.net.connect(&net.TCPAddr{IP: l.addr.IP, Port: 40000}, to.addr, &l.net.held)
	to.conns <- accepted
	if l.net.Dialed != nil {
		l.net.Dialed(dialed)
	}
	return dialed, nil
}

// connect returns the two ends of a new stream, which stands still while held is true.
func (n *Net) connect(from, to net.Addr, held *atomic.Bool) (dialed, accepted *stream) {
	a, b := &half{}, &half{}
	dialed = &stream{net: n, held: held, remote: to, local: from, in: b, out: a}
	return dialed, &stream{net: n, held: held, remote: from, local: to, in: a, out: b}
}

// half is one direction of a stream. It is guarded by the net's mutex.
type half struct {
	data          []byte
	ended, reset  bool
	transit       []arrival // the next first
	transitBytes  int
	rline, wline  time.Time // deadlines of the reader and of the writer
	rtimer, timer *time.Timer
}

// arrival is a change at the reader's end of a stream.
type arrival struct {
	at           time.Time
	data         []byte
	ended, reset bool
}

// sendLocked delivers a change to the other end of the stream. The caller holds the
// net's mutex.
func (s *stream) sendLocked(a arrival) {
	a.at = time.Now()
	if s.net.SlowStreams {
		a.at = a.at.Add(s.net.Latency)
		time.AfterFunc(s.net.Latency, func() {
			s.net.mu.Lock()
			defer s.net.mu.Unlock()
			s.out.arriveLocked()
			s.net.changed.Broadcast()
		})
	}
	s.out.transit = append(s.out.transit, a)
	s.out.transitBytes += len(a.data)
	s.out.arriveLocked()
	s.net.changed.Broadcast()
}

// arriveLocked applies the changes that are due.
func (h *half) arriveLocked() {
	for len(h.transit) > 0 && !h.transit[0].at.After(time.Now()) {
		a := h.transit[0]
		h.transit = h.transit[1:]
		h.transitBytes -= len(a.data)
		h.data = append(h.data, a.data...)
		h.ended, h.reset = h.ended || a.ended, h.reset || a.reset
	}
}

// stream is one end of a connection that is as reliable as TCP: while the net is cut
// no byte arrives, and none is lost.
type stream struct {
	net           *Net
	held          *atomic.Bool
	remote, local net.Addr
	in, out       *half
	closed        bool // this end's direction
}

func over(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

func (s *stream) Read(p []byte) (int, error) {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	for {
		switch {
		case over(s.in.rline):
			return 0, os.ErrDeadlineExceeded
		case s.in.reset:
			return 0, syscall.ECONNRESET
		case s.held.Load():
		case len(s.in.data) > 0:
			n := copy(p, s.in.data)
			s.in.data = s.in.data[n:]
			s.net.changed.Broadcast()
			return n, nil
		case s.in.ended:
			return 0, io.EOF
		}
		s.net.changed.Wait()
	}
}

func (s *stream) Write(p []byte) (int, error) {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	done := 0
	for {
		switch room := streamBytes - len(s.out.data) - s.out.transitBytes; {
		case over(s.out.wline):
			return done, os.ErrDeadlineExceeded
		case s.closed || s.out.reset || s.out.ended:
			return done, syscall.EPIPE
		case room > 0:
			n := min(room, len(p)-done)
			s.sendLocked(arrival{data: slices.Clone(p[done : done+n])})
			done += n
			if done == len(p) {
				return done, nil
			}
			continue
		}
		s.net.changed.Wait()
	}
}

// CloseWrite ends this end's direction.
func (s *stream) CloseWrite() error {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	s.closed = true
	s.sendLocked(arrival{ended: true})
	return nil
}

// reset ends both directions, and the other end loses what it has not read.
func (s *stream) reset() {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	s.closed, s.in.reset = true, true
	s.sendLocked(arrival{ended: true, reset: true})
}

// Close ends both directions. As with TCP, the other end is reset if this end has
// unread bytes, and loses the bytes that it has not read.
func (s *stream) Close() error {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	s.closed, s.in.reset = true, true
	s.sendLocked(arrival{ended: true, reset: len(s.in.data) > 0 && !s.held.Load()})
	return nil
}

func (s *stream) SetDeadline(t time.Time) error {
	_ = s.SetReadDeadline(t)
	return s.SetWriteDeadline(t)
}

func (s *stream) SetReadDeadline(t time.Time) error {
	return s.line(&s.in.rline, &s.in.rtimer, t)
}

func (s *stream) SetWriteDeadline(t time.Time) error {
	return s.line(&s.out.wline, &s.out.timer, t)
}

func (s *stream) line(line *time.Time, timer **time.Timer, t time.Time) error {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	*line = t
	if *timer != nil {
		(*timer).Stop()
	}
	if !t.IsZero() {
		*timer = time.AfterFunc(max(time.Until(t), 0), func() {
			s.net.mu.Lock()
			defer s.net.mu.Unlock()
			s.net.changed.Broadcast()
		})
	}
	s.net.changed.Broadcast()
	return nil
}

func (s *stream) RemoteAddr() net.Addr { return s.remote }
func (s *stream) LocalAddr() net.Addr  { return s.local }
