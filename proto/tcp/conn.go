// Package tcp is a transport connection of TLS 1.3 (RFC 8446) over TCP. It
// carries one bidirectional stream and what QUIC has and TLS over TCP lacks: the
// end of one direction, an application error code with the close, and
// keep-alives.
//
// In each direction the TLS stream is a sequence of blocks; "Over TCP" in package
// proto describes them:
//
//	u32 n > 0 | n bytes     of the stream
//	u32 0     | u32 code    0: end of the stream; 1: keep-alive; else: close
package tcp

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"mesh/proto"
)

var (
	// ErrIdle reports that nothing came from the peer for [proto.IdleTimeout].
	ErrIdle = errors.New("idle for too long")
	// ErrHungUp reports that the peer's host ended the connection (FIN or RST)
	// without a close block: most likely the peer's process is gone.
	ErrHungUp = errors.New("the peer's host has closed the connection")
	// ErrReset reports the same after the peer was silent for a while. Then the
	// reset may come from a router that has forgotten the connection.
	ErrReset = errors.New("connection reset")
	// ErrAltered is in the chain of an error that says that one of the ends got other
	// bytes than the other one has sent: the network has altered them.
	ErrAltered = errors.New("data was altered on the way")
)

// Conn is a connection after its TLS handshake. One goroutine may read while
// another one writes, and any goroutine may close.
type Conn struct {
	tls    *tls.Conn
	socket *socket
	bbr    bool

	// ctx is the lifetime of the connection itself, no caller's context: it ends
	// with the connection, and users of the Conn wait for it, as for that of a
	// quic.Conn. Its cause is the error that the connection ended with.
	ctx    context.Context
	cancel context.CancelCauseFunc

	blocks blockReader

	// writeTurn holds one value while no goroutine writes: a writer receives it
	// first and sends it back. It is not a mutex because in [testing/synctest]
	// time stands still while a goroutine waits for a mutex, and a write blocks
	// for as long as the peer's receive window is closed.
	writeTurn chan struct{}
	head      []byte
	ended     bool         // our side of the stream; guarded by writeTurn
	flushed   atomic.Int64 // when something was sent last, in nanoseconds after begun
	begun     time.Time

	reading   atomic.Bool
	peerEnded atomic.Bool // its side of the stream

	// closing holds one value until the connection is closed: the first goroutine
	// that closes it receives the value, and closes the channel at the end. The others
	// wait for that. It is not a sync.Once for the reason that writeTurn is not a mutex.
	closing chan struct{}
}

// Client makes the TLS handshake of the dialing side. It takes over the socket and
// closes it if the handshake fails. It blocks until ctx ends at most.
func Client(ctx context.Context, raw net.Conn, conf *tls.Config) (*Conn, error) {
	s := &socket{Conn: raw}
	return handshake(ctx, s, tls.Client(s, conf))
}

// Server makes the TLS handshake of the accepting side, like [Client].
func Server(ctx context.Context, raw net.Conn, conf *tls.Config) (*Conn, error) {
	s := &socket{Conn: raw}
	return handshake(ctx, s, tls.Server(s, conf))
}

// alertTime bounds how long a failed handshake waits for the peer to read the TLS
// alert that says why.
const alertTime = 500 * time.Millisecond

func handshake(ctx context.Context, s *socket, t *tls.Conn) (*Conn, error) {
	if err := t.HandshakeContext(ctx); err != nil {
		if errors.Is(err, io.EOF) || isReset(err) {
			err = ErrHungUp
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		} else {
			s.linger(time.Now().Add(alertTime))
		}
		s.Close()
		return nil, err
	}
	c := &Conn{bbr: useBBR(s.Conn), tls: t, socket: s, blocks: blockReader{r: t}, writeTurn: make(chan struct{}, 1), closing: make(chan struct{}, 1), begun: time.Now()}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.writeTurn <- struct{}{}
	c.closing <- struct{}{}
	return c, nil
}

// TLS returns the state of the TLS session.
func (c *Conn) TLS() tls.ConnectionState { return c.tls.ConnectionState() }

// LocalAddr returns the local address.
func (c *Conn) LocalAddr() net.Addr { return c.socket.LocalAddr() }

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.socket.RemoteAddr() }

// LossBound reports whether lost packets may slow down what this end sends.
// Without BBR every lost packet does. With BBR many do: it then underestimates the
// bandwidth of the path now and then.
func (c *Conn) LossBound() bool { return !c.bbr || isLossy(c.socket.Conn) }

// Context returns the lifetime of the connection. If the peer ends the
// connection, it ends once Read has met that end.
func (c *Conn) Context() context.Context { return c.ctx }

// Heard returns a count that grows when data comes from the peer's host.
func (c *Conn) Heard() uint64 { return c.socket.heard.Load() }

// SetDeadline makes reads and writes fail at t.
func (c *Conn) SetDeadline(t time.Time) error { return c.socket.SetDeadline(t) }

// SetAuthenticated is called once, when the peer is authenticated and nothing but the
// handshake's messages was read or written. From then on the connection has large
// buffers and sends keep-alives, and it ends with [ErrIdle] if nothing comes from
// the peer while Read waits.
func (c *Conn) SetAuthenticated() {
	c.socket.enlargeBuffer()
	go c.sendKeepAlives()
	go c.watchIdle()
}

// Read reads from the stream. It returns [io.EOF] when the peer has ended its side
// of the stream, and a [*CloseError] when the peer has closed the connection.
func (c *Conn) Read(p []byte) (int, error) {
	c.reading.Store(true)
	defer c.reading.Store(false)
	n, err := c.blocks.Read(p)
	switch {
	case err == io.EOF:
		c.peerEnded.Store(true)
		return 0, err
	case err != nil:
		return 0, c.fail(err)
	case c.ctx.Err() != nil:
		return 0, context.Cause(c.ctx)
	}
	return n, nil
}

// fail ends the connection with an error of the TLS stream. It returns the error
// that the connection ended with, which may be an earlier one.
func (c *Conn) fail(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || isReset(err) {
		err = ErrHungUp
		if c.socket.sinceHeard() > maxQuiet {
			err = ErrReset
		}
	}
	if isAltered(err) {
		err = fmt.Errorf("%w: %w", ErrAltered, err)
	}
	c.cancel(err)
	return context.Cause(c.ctx)
}

// verdictTime is how long a failed write waits for the reader.
const verdictTime = 200 * time.Millisecond

// failWrite ends the connection with the error of a write; nil is no error. It
// first gives the reader verdictTime to find the peer's close code, which says
// more than "broken pipe".
func (c *Conn) failWrite(err error) error {
	if err == nil {
		return nil
	}
	if c.reading.Load() {
		select {
		case <-c.ctx.Done():
		case <-time.After(verdictTime):
		}
	}
	return c.fail(err)
}

// Send writes the parts one after the other to the stream, up to 128 KiB with one
// system call. It blocks while the peer's receive window is closed.
func (c *Conn) Send(parts ...[]byte) error {
	total := 0
	for _, p := range parts {
		total += len(p)
	}
	if total > proto.MaxBlockBytes {
		return c.sendBlocks(parts)
	}
	if total == 0 {
		return nil
	}
	<-c.writeTurn
	defer c.endTurn()
	if c.ended {
		return c.fail(net.ErrClosed)
	}
	c.socket.holdWrites()
	c.head = binary.BigEndian.AppendUint32(c.head[:0], uint32(total))
	for _, p := range parts {
		if len(c.head)+len(p) <= smallBytes {
			c.head = append(c.head, p...)
			continue
		}
		if err := c.flushHead(); err != nil {
			return c.failWrite(err)
		}
		if _, err := c.tls.Write(p); err != nil {
			return c.failWrite(err)
		}
	}
	if err := c.flushHead(); err != nil {
		return c.failWrite(err)
	}
	return c.failWrite(c.flush())
}

// sendBlocks sends parts that are too much for one block.
func (c *Conn) sendBlocks(parts [][]byte) error {
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

// smallBytes bounds the parts that are copied into one TLS record with the block's
// header.
const smallBytes = 1 << 10

func (c *Conn) flushHead() error {
	if len(c.head) == 0 {
		return nil
	}
	_, err := c.tls.Write(c.head)
	c.head = c.head[:0]
	return err
}

func (c *Conn) flush() error {
	c.flushed.Store(int64(time.Since(c.begun)))
	return c.socket.flushWrites()
}

func (c *Conn) endTurn() { c.writeTurn <- struct{}{} }

// sendCode writes a block without data. The caller has the writeTurn.
func (c *Conn) sendCode(code uint32) error {
	c.socket.holdWrites()
	if _, err := c.tls.Write(binary.BigEndian.AppendUint32(make([]byte, 4, 8), code)); err != nil {
		return err
	}
	return c.flush()
}

// CloseWrite ends this side of the stream: the peer reads [io.EOF] after the last
// byte. CloseWrite does not wait for that.
func (c *Conn) CloseWrite() error {
	<-c.writeTurn
	defer c.endTurn()
	if c.ended {
		return nil
	}
	c.ended = true
	return c.failWrite(c.sendCode(codeEnd))
}
