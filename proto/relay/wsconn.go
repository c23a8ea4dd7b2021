package relay

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"mesh/proto/tcp"
)

// wsConn is the node's side of a connection by WebSocket. It is a [net.Conn] as those of
// TCP are: a deadline ends a read and leaves the connection as it is, Close after
// SetLinger(0) ends it without a word, and the addresses are those of the TCP connection
// to the relay or the proxy. A write that is not over at its deadline ends the
// connection, since half a message is then on its way. One goroutine may read while
// another one writes.
type wsConn struct {
	*messages
	gather *gather // the TCP connection

	full    chan []byte // sent and closed by pump
	free    chan []byte // the buffers that pump may fill
	buf     []byte      // from full, until all of it is read
	rest    []byte      // of buf
	err     error       // why pump has ended; readable once full is closed
	done    chan struct{}
	closing sync.Once
	ending  sync.Once
	ended   chan struct{} // closed when the Close frame was sent and answered, or could not be
	abrupt  atomic.Bool

	reads deadline

	mu      sync.Mutex // guards what follows
	writing bool
	until   time.Time // the deadline of writes
	timer   *time.Timer
}

// closeWait bounds how long Close waits for the relay's answer to the Close frame.
const closeWait = time.Second

func newWSConn(m *messages, g *gather) *wsConn {
	c := &wsConn{
		messages: m, gather: g, full: make(chan []byte, 2), free: make(chan []byte, 2), done: make(chan struct{}), ended: make(chan struct{}),
		reads: newDeadline(),
	}
	for range cap(c.free) {
		c.free <- make([]byte, bufferBytes)
	}
	go c.pump()
	return c
}

// pump reads from the WebSocket, so that a deadline of Read does not touch it.
func (c *wsConn) pump() {
	defer close(c.full)
	for {
		var buf []byte
		select {
		case buf = <-c.free:
		case <-c.done:
			c.err = net.ErrClosed
			return
		}
		n, err := c.messages.Read(buf[:cap(buf)])
		if n > 0 {
			c.full <- buf[:n]
		}
		if err != nil {
			c.err = c.readError(err)
			return
		}
	}
}

// readError returns what Read returns for the end of the WebSocket: [io.EOF] for a Close
// frame, and that of a reset for an end without one.
func (c *wsConn) readError(err error) error {
	select {
	case <-c.done:
		return net.ErrClosed
	default:
	}
	if err == io.EOF {
		return err
	}
	return &net.OpError{Op: "read", Net: DoorWSS, Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: fmt.Errorf("%w (%w)", tcp.ErrnoReset, err)}
}

// Read implements [net.Conn].
func (c *wsConn) Read(p []byte) (int, error) {
	if c.reads.passed() {
		return 0, os.ErrDeadlineExceeded
	}
	if len(c.rest) == 0 {
		if c.buf != nil {
			c.free <- c.buf
			c.buf = nil
		}
		select {
		case b, ok := <-c.full:
			if !ok {
				return 0, c.err
			}
			c.buf, c.rest = b, b
		case <-c.reads.wait():
			return 0, os.ErrDeadlineExceeded
		case <-c.done:
			return 0, net.ErrClosed
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// Write implements [net.Conn].
func (c *wsConn) Write(p []byte) (int, error) {
	if err := c.beginWrite(); err != nil {
		return 0, err
	}
	c.gather.hold()
	n, err := c.messages.Write(p)
	if flushErr := c.gather.flush(); err == nil {
		err = flushErr
	}
	if c.endWrite() && err != nil {
		return n, os.ErrDeadlineExceeded
	}
	if err != nil {
		select {
		case <-c.done:
			err = net.ErrClosed
		default:
			err = &net.OpError{Op: "write", Net: DoorWSS, Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: fmt.Errorf("%w (%w)", tcp.ErrnoReset, err)}
		}
	}
	return n, err
}

func (c *wsConn) beginWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lateLocked() {
		return os.ErrDeadlineExceeded
	}
	c.writing = true
	return nil
}

// endWrite reports whether the deadline has passed.
func (c *wsConn) endWrite() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = false
	return c.lateLocked()
}

func (c *wsConn) lateLocked() bool { return !c.until.IsZero() && !time.Now().Before(c.until) }

// SetWriteDeadline implements [net.Conn].
func (c *wsConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = t
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	if !t.IsZero() {
		c.timer = time.AfterFunc(time.Until(t), c.cutWrite)
	}
	return nil
}

// cutWrite ends the connection if a write is in progress at its deadline.
func (c *wsConn) cutWrite() {
	c.mu.Lock()
	late := c.writing && c.lateLocked()
	c.mu.Unlock()
	if late {
		reset(c.gather)
	}
}

// SetReadDeadline implements [net.Conn].
func (c *wsConn) SetReadDeadline(t time.Time) error {
	c.reads.set(t)
	return nil
}

// SetDeadline implements [net.Conn].
func (c *wsConn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// LocalAddr implements [net.Conn].
func (c *wsConn) LocalAddr() net.Addr { return c.gather.LocalAddr() }

// RemoteAddr implements [net.Conn].
func (c *wsConn) RemoteAddr() net.Addr { return c.gather.RemoteAddr() }

// SetLinger makes Close end the connection without a Close frame if sec is 0.
func (c *wsConn) SetLinger(sec int) error {
	c.abrupt.Store(sec == 0)
	return nil
}

// CloseWrite sends the Close frame. The relay then ends the connection, which Read meets.
func (c *wsConn) CloseWrite() error {
	c.ending.Do(func() {
		go func() {
			defer close(c.ended)
			c.end()
		}()
	})
	return nil
}

// Close implements [net.Conn]. It sends the Close frame unless SetLinger(0) was called.
func (c *wsConn) Close() error {
	c.closing.Do(func() {
		close(c.done)
		if !c.abrupt.Load() {
			_ = c.CloseWrite()
			timer := time.NewTimer(closeWait)
			select {
			case <-c.ended:
			case <-timer.C:
			}
			timer.Stop()
		}
		reset(c.gather)
		_ = c.ws.CloseNow()
		_ = c.SetWriteDeadline(time.Time{})
		c.reads.set(time.Time{})
	})
	return nil
}

// deadline is a point in time that others can wait for, as in [net.Pipe].
type deadline struct {
	mu    sync.Mutex
	at    time.Time
	timer *time.Timer
	over  chan struct{}
}

func newDeadline() deadline { return deadline{over: make(chan struct{})} }

// set sets the point; the zero time is never.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.over // the timer has fired and closes it
	}
	d.timer, d.at = nil, t
	select {
	case <-d.over:
		d.over = make(chan struct{})
	default:
	}
	switch left := time.Until(t); {
	case t.IsZero():
	case left <= 0:
		close(d.over)
	default:
		over := d.over
		d.timer = time.AfterFunc(left, func() { close(over) })
	}
}

// wait returns a channel that is closed when the point is reached. A change of the point
// makes a new channel unless the old one is closed.
func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.over
}

func (d *deadline) passed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.at.IsZero() && !time.Now().Before(d.at)
}

// gather is the connection below TLS. It joins the TLS records of a message into one
// write: crypto/tls makes a system call for each, and package websocket hands it pieces
// of 4 KiB.
type gather struct {
	net.Conn

	mu   sync.Mutex
	held bool
	out  []byte
}

func (g *gather) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = true
}

// flush writes what was gathered, and ends the gathering.
func (g *gather) flush() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = false
	return g.flushLocked()
}

func (g *gather) flushLocked() error {
	if len(g.out) == 0 {
		return nil
	}
	_, err := g.Conn.Write(g.out)
	g.out = g.out[:0]
	return err
}

// Write implements [net.Conn].
func (g *gather) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.held {
		return g.Conn.Write(p)
	}
	if len(g.out)+len(p) > bufferBytes+bufferBytes/8 {
		if err := g.flushLocked(); err != nil {
			return 0, err
		}
	}
	g.out = append(g.out, p...)
	return len(p), nil
}

// NetConn returns the connection below.
func (g *gather) NetConn() net.Conn { return g.Conn }
