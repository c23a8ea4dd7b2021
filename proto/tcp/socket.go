package tcp

import (
	"bufio"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// bufferBytes is how much is read from the kernel, or written to it, at once:
// TLS itself does so for every record of 16 KiB.
const bufferBytes = 128 << 10

// socket is what the TLS session reads from and writes to.
type socket struct {
	net.Conn
	heard atomic.Uint64
	last  atomic.Int64  // when something was heard, in nanoseconds
	in    *bufio.Reader // nil until enlarge

	mu   sync.Mutex
	held bool
	out  []byte
}

// enlarge gives the socket a large buffer for what is read. It is called while
// nobody reads.
func (s *socket) enlarge() { s.in = bufio.NewReaderSize(counting{s}, bufferBytes) }

func (s *socket) Read(p []byte) (int, error) {
	if s.in != nil {
		return s.in.Read(p)
	}
	return counting{s}.Read(p)
}

// counting reads from the kernel and counts how often something came.
type counting struct{ s *socket }

func (c counting) Read(p []byte) (int, error) {
	n, err := c.s.Conn.Read(p)
	if n > 0 {
		c.s.heard.Add(1)
		c.s.last.Store(time.Now().UnixNano())
	}
	return n, err
}

// silence returns for how long nothing was heard.
func (s *socket) silence() time.Duration {
	return time.Duration(time.Now().UnixNano() - s.last.Load())
}

// hold keeps what is written from then on together until release.
func (s *socket) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = true
}

func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.held {
		return s.Conn.Write(p)
	}
	if len(s.out)+len(p) > bufferBytes {
		if err := s.flush(); err != nil {
			return 0, err
		}
	}
	s.out = append(s.out, p...)
	return len(p), nil
}

// release writes what was held.
func (s *socket) release() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = false
	return s.flush()
}

func (s *socket) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	_, err := s.Conn.Write(s.out)
	s.out = s.out[:0]
	return err
}

// linger waits until the peer has read all and closed its side, or the deadline
// is over: closing a socket with bytes unread resets the connection, and what
// the peer had not read yet is lost to it.
func (s *socket) linger(deadline time.Time) {
	half, ok := s.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || s.Conn.SetReadDeadline(deadline) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, s.Conn)
}
