package tcp

import (
	"bufio"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// bufferBytes is how much is read from the kernel, or written to it, with one
// system call. crypto/tls alone makes one for every record of 16 KiB.
const bufferBytes = 128 << 10

// socket is the TCP connection that the TLS session reads from and writes to.
type socket struct {
	net.Conn
	heard atomic.Uint64
	last  atomic.Int64  // when data came last, in nanoseconds since 1970
	in    *bufio.Reader // nil until enlargeBuffer

	mu   sync.Mutex
	held bool
	out  []byte
	// torn is the error of a write of TLS records that are lost. Records have numbers: the
	// peer could not decrypt a later one, and would blame the network.
	torn error
}

// enlargeBuffer gives the socket a large read buffer. The caller makes sure that no
// goroutine reads meanwhile.
func (s *socket) enlargeBuffer() { s.in = bufio.NewReaderSize(counting{s}, bufferBytes) }

func (s *socket) Read(p []byte) (int, error) {
	if s.in != nil {
		return s.in.Read(p)
	}
	return counting{s}.Read(p)
}

// counting reads from the kernel and counts the reads that returned data.
type counting struct{ s *socket }

func (c counting) Read(p []byte) (int, error) {
	n, err := c.s.Conn.Read(p)
	if n > 0 {
		c.s.heard.Add(1)
		c.s.last.Store(time.Now().UnixNano())
	}
	return n, err
}

// sinceHeard returns the time since data came last.
func (s *socket) sinceHeard() time.Duration {
	return time.Duration(time.Now().UnixNano() - s.last.Load())
}

// holdWrites collects what is written from then on until flushWrites, or until
// bufferBytes.
func (s *socket) holdWrites() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = true
}

func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.torn != nil {
		return 0, s.torn
	}
	if !s.held {
		return s.Conn.Write(p)
	}
	if len(s.out)+len(p) > bufferBytes {
		if err := s.flushLocked(); err != nil {
			return 0, err
		}
	}
	s.out = append(s.out, p...)
	return len(p), nil
}

// flushWrites writes what was collected, and ends the collecting.
func (s *socket) flushWrites() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = false
	return s.flushLocked()
}

func (s *socket) flushLocked() error {
	if len(s.out) == 0 {
		return nil
	}
	_, s.torn = s.Conn.Write(s.out)
	s.out = s.out[:0]
	return s.torn
}

// linger ends this side of the TCP connection (FIN) and waits until the peer has
// closed its side, or until the deadline. Closing a socket with unread bytes would
// reset the connection, and the peer would lose what it has not yet read.
func (s *socket) linger(deadline time.Time) {
	half, ok := s.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || s.Conn.SetReadDeadline(deadline) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, s.Conn)
}
