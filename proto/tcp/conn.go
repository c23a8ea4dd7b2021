// Package tcp is one TLS 1.3 connection over TCP made fit for a link: beside
// the bytes of one stream it carries what QUIC has and TCP lacks, the end of
// one direction, a code with the closing, and a sign of life.
//
// In each direction the TLS stream is a sequence of blocks, see the protocol
// page in package proto:
//
//	u32 n > 0 | n bytes     of the stream
//	u32 0     | u32 code    0: end of the stream; 1: a sign of life; else: closing
package tcp

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"mesh/proto"
)

var (
	// ErrIdle says that nothing was heard from the peer for [proto.IdleTimeout].
	ErrIdle = errors.New("idle for too long")
	// ErrHungUp says that the connection was ended by the peer's host, and not
	// by the peer: its process is gone, most likely.
	ErrHungUp = errors.New("the peer's host has hung up")
	// ErrReset says the same after a silence: by then it may be a router that
	// has forgotten the connection.
	ErrReset = errors.New("connection reset")
)

// Conn is a connection whose TLS handshake is done. One goroutine may read
// while another writes, and any may close.
type Conn struct {
	tls    *tls.Conn
	socket *socket
	bbr    bool

	ctx    context.Context
	cancel context.CancelCauseFunc

	blocks blockReader

	// turn holds one value while nobody writes. It is not a mutex because in
	// [testing/synctest] time stands still while somebody waits for one, and a
	// write may block for as long as the peer takes nothing.
	turn    chan struct{}
	head    []byte
	ended   bool // our side of the stream; under turn
	written atomic.Uint64

	reading atomic.Bool
	quiet   atomic.Bool // the peer's side of the stream has ended
	closing sync.Once
}

// Client makes the TLS handshake as the side that has dialled. It owns the
// socket from then on, also if it fails. It blocks until ctx ends at most.
func Client(ctx context.Context, raw net.Conn, conf *tls.Config) (*Conn, error) {
	s := &socket{Conn: raw}
	return handshake(ctx, s, tls.Client(s, conf))
}

// Server makes the TLS handshake as the side that was dialled, see [Client].
func Server(ctx context.Context, raw net.Conn, conf *tls.Config) (*Conn, error) {
	s := &socket{Conn: raw}
	return handshake(ctx, s, tls.Server(s, conf))
}

// farewell bounds how long a peer may take to read why its handshake failed.
const farewell = 500 * time.Millisecond

func handshake(ctx context.Context, s *socket, t *tls.Conn) (*Conn, error) {
	if err := t.HandshakeContext(ctx); err != nil {
		if errors.Is(err, io.EOF) || isReset(err) {
			err = ErrHungUp
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		} else {
			s.linger(time.Now().Add(farewell))
		}
		s.Close()
		return nil, err
	}
	c := &Conn{bbr: useBBR(s.Conn), tls: t, socket: s, blocks: blockReader{r: t}, turn: make(chan struct{}, 1)}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.turn <- struct{}{}
	return c, nil
}

// TLS returns the state of the TLS session.
func (c *Conn) TLS() tls.ConnectionState { return c.tls.ConnectionState() }

// LocalAddr returns our own address.
func (c *Conn) LocalAddr() net.Addr { return c.socket.LocalAddr() }

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.socket.RemoteAddr() }

// LossBound reports whether lost packets may slow down what we send: every one
// without BBR, and with it many, since it then takes a path for narrower than it
// is now and then.
func (c *Conn) LossBound() bool { return !c.bbr || isLossy(c.socket.Conn) }

// Context ends when the connection does. That the peer has ended it is known
// only once Read has come upon it.
func (c *Conn) Context() context.Context { return c.ctx }

// Heard returns how often something has come from the peer's host.
func (c *Conn) Heard() uint64 { return c.socket.heard.Load() }

// SetDeadline makes reads and writes fail at t.
func (c *Conn) SetDeadline(t time.Time) error { return c.socket.SetDeadline(t) }

// Prove is called once, when the peer has proven itself and before anything but
// the proof was read and written: from then on it may cost memory, signs of
// life are sent, and the connection ends with [ErrIdle] when there is none from
// the peer while we read.
func (c *Conn) Prove() {
	c.socket.enlarge()
	go c.beat()
	go c.watch()
}

// beat sends a sign of life whenever nothing else was sent for a while. It may
// block for as long as the peer takes nothing.
func (c *Conn) beat() {
	tick := time.NewTicker(proto.KeepAlive)
	defer tick.Stop()
	sent := c.written.Load()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
		}
		if n := c.written.Load(); n != sent {
			sent = n
			continue
		}
		select {
		case <-c.turn: // else a write is on its way, or waits for the peer
			if !c.ended {
				if err := c.block(codeAlive); err != nil && !c.reading.Load() { // else the reader finds out, and more
					c.failed(err)
				}
			}
			sent = c.written.Load()
			c.turn <- struct{}{}
		default:
		}
	}
}

// watch ends the connection when there is no sign of life from the peer.
func (c *Conn) watch() {
	tick := time.NewTicker(proto.KeepAlive)
	defer tick.Stop()
	heard, since := c.Heard(), time.Now()
	for {
		select {
		case <-c.ctx.Done():
			return
		case now := <-tick.C:
			if n := c.Heard(); n != heard || !c.reading.Load() { // who does not listen hears nothing
				heard, since = n, now
			} else if now.Sub(since) >= proto.IdleTimeout {
				c.Abort(ErrIdle)
				return
			}
		}
	}
}

// Read reads from the stream. It returns [io.EOF] behind the last byte when the
// peer has ended its side, and a [*CloseError] when it has closed.
func (c *Conn) Read(p []byte) (int, error) {
	c.reading.Store(true)
	defer c.reading.Store(false)
	n, err := c.blocks.Read(p)
	switch {
	case err == io.EOF:
		c.quiet.Store(true)
		return 0, err
	case err != nil:
		return 0, c.failed(err)
	case c.ctx.Err() != nil:
		return 0, context.Cause(c.ctx)
	}
	return n, nil
}

// silentTime is how long a peer that is there is silent at most.
const silentTime = 2 * proto.KeepAlive

// failed ends the connection with what the reader or a writer has met, and
// returns what it ended with, which may be something earlier.
func (c *Conn) failed(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || isReset(err) {
		err = ErrHungUp
		if c.socket.silence() > silentTime {
			err = ErrReset
		}
	}
	c.cancel(err)
	return context.Cause(c.ctx)
}

// verdictTime is how long a failed write waits for what the reader comes upon.
const verdictTime = 200 * time.Millisecond

// unsent is failed for a write, after the reader has had the time to find what
// the peer said last: that tells more than that it takes no more.
func (c *Conn) unsent(err error) error {
	if err == nil {
		return nil
	}
	if c.reading.Load() {
		select {
		case <-c.ctx.Done():
		case <-time.After(verdictTime):
		}
	}
	return c.failed(err)
}

// Send writes the parts one after the other to the stream, with a single system
// call if they are few. It blocks while the peer takes nothing.
func (c *Conn) Send(parts ...[]byte) error {
	total := 0
	for _, p := range parts {
		total += len(p)
	}
	if total > proto.MaxBlockBytes {
		for _, p := range parts {
			for len(p) > 0 {
				n := min(len(p), proto.MaxBlockBytes)
				if err := c.Send(p[:n]); err != nil {
					return err
				}
				p = p[n:]
			}
		}
		return nil
	}
	if total == 0 {
		return nil
	}
	<-c.turn
	defer c.yield()
	if c.ended {
		return c.failed(net.ErrClosed)
	}
	c.socket.hold()
	c.head = binary.BigEndian.AppendUint32(c.head[:0], uint32(total))
	for _, p := range parts {
		if len(c.head)+len(p) <= smallBytes { // into one record
			c.head = append(c.head, p...)
			continue
		}
		if err := c.flushHead(); err != nil {
			return c.unsent(err)
		}
		if _, err := c.tls.Write(p); err != nil {
			return c.unsent(err)
		}
	}
	if err := c.flushHead(); err != nil {
		return c.unsent(err)
	}
	return c.unsent(c.release())
}

// smallBytes is up to where parts are sent in a TLS record with the header.
const smallBytes = 1 << 10

func (c *Conn) flushHead() error {
	if len(c.head) == 0 {
		return nil
	}
	_, err := c.tls.Write(c.head)
	c.head = c.head[:0]
	return err
}

func (c *Conn) release() error {
	c.written.Add(1)
	return c.socket.release()
}

func (c *Conn) yield() { c.turn <- struct{}{} }

// block writes a block without bytes. It is called with the turn.
func (c *Conn) block(code uint32) error {
	c.socket.hold()
	if _, err := c.tls.Write(binary.BigEndian.AppendUint32(make([]byte, 4, 8), code)); err != nil {
		return err
	}
	return c.release()
}

// CloseWrite ends our side of the stream: the peer reads [io.EOF] behind the
// last byte. It does not wait for that.
func (c *Conn) CloseWrite() error {
	<-c.turn
	defer c.yield()
	if c.ended {
		return nil
	}
	c.ended = true
	return c.unsent(c.block(codeEnd))
}

// CloseTimeout is how long [Conn.Close] blocks at most.
const CloseTimeout = time.Second

// Close closes the connection and tells the peer the code, which is at least
// 0x100, behind what was written before. Reads and writes fail with err from
// then on. It blocks until the peer's host has it all, for [CloseTimeout] at
// most.
func (c *Conn) Close(code uint64, err error) {
	c.closing.Do(func() {
		defer c.socket.Close()
		open := c.open()
		c.cancel(err)
		deadline := time.Now().Add(CloseTimeout)
		if !open || c.socket.SetReadDeadline(past) != nil || c.socket.SetWriteDeadline(deadline) != nil {
			return
		}
		<-c.turn
		c.ended = true
		sent := c.block(uint32(code))
		c.yield()
		if sent == nil && !c.quiet.Load() {
			c.socket.linger(deadline)
		}
	})
}

// open reports whether the peer can still be told something: it can when all
// that went wrong is what we make of what came, or did not come in time.
func (c *Conn) open() bool {
	why := context.Cause(c.ctx)
	return why == nil || errors.Is(why, ErrBlock) || errors.Is(why, os.ErrDeadlineExceeded)
}

// abortTime bounds the wait for room in the kernel's buffer, not for the peer.
const abortTime = 10 * time.Millisecond

// Abort ends the connection at once, whatever is still on its way. The peer is
// told [proto.CodeBroken] if that still gets through, so that it does not take
// us for dead.
func (c *Conn) Abort(err error) {
	c.closing.Do(func() {
		c.cancel(err)
		_ = c.socket.SetWriteDeadline(time.Now().Add(abortTime))
		select {
		case <-c.turn: // else a write waits for the peer already
			c.ended = true
			_ = c.block(proto.CodeBroken)
			c.yield()
		default:
		}
		if s, ok := c.socket.Conn.(interface{ SetLinger(int) error }); ok {
			_ = s.SetLinger(0) // or the kernel would go on trying
		}
		c.socket.Close()
	})
}

// past is a deadline that is over.
var past = time.Unix(1, 0)
