package transport

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto"
)

// Conn is a connection between two node keys, and its one stream of bytes in each
// direction. TLS 1.3 has authenticated both keys. One goroutine may read while
// another writes, and any goroutine may close.
type Conn interface {
	// Read blocks until there are bytes. It returns [io.EOF] after the last byte
	// when the peer has ended its direction.
	Read(p []byte) (int, error)
	// Send writes the parts one after the other. It blocks while the peer's
	// flow-control window is used up.
	Send(parts ...[]byte) error
	// CloseWrite ends this end's direction of the stream, after what was sent. It
	// does not wait until the peer has read that.
	CloseWrite() error
	// SetDeadline makes Read, Send and CloseWrite fail at t; never if t is zero.
	SetDeadline(t time.Time) error
	// Close ends the connection and sends the peer the code. Reads and writes fail
	// from then on, with err if the transport has no error of its own. It may block
	// for as long as the peer takes to read what was sent over TCP.
	Close(code uint64, reason string, err error)
	// Drain waits until the peer has read an answer that ends the handshake, before
	// Close: over QUIC a Close overtakes the bytes of the stream. It blocks for at
	// most [proto.CloseTimeout].
	Drain(ctx context.Context)
	// SetAuthenticated lifts the limits of a half-open connection. It is called once,
	// when the peer has proven that it may use this node.
	SetAuthenticated()

	// Context ends when the connection is known to have ended.
	Context() context.Context
	// TLS returns the state of the TLS session.
	TLS() tls.ConnectionState
	// LocalAddr is unspecified (0.0.0.0 or ::) if the socket serves all interfaces.
	LocalAddr() net.Addr
	// RemoteAddr is the peer's address now: a QUIC peer may move to another one.
	RemoteAddr() net.Addr
	// Path returns the path of a connection over a [Carrier], and the zero Path for one
	// to an address.
	Path() Path
	// LeftSince is that of the [Carrier]; the zero time without one.
	LeftSince() time.Time
	// Via returns the transport: [proto.ViaQUIC] or [proto.ViaTCP].
	Via() string
	// LossBound reports whether the sender's congestion control takes every lost
	// packet for a full queue.
	LossBound() bool
	// Heard counts packets (QUIC) or reads (TCP) that came from the peer.
	Heard() uint64
}

// quicConn is a QUIC connection with its first bidirectional stream.
type quicConn struct {
	conn   *quic.Conn
	stream *quic.Stream
}

func openQUIC(ctx context.Context, conn *quic.Conn) (Conn, error) {
	stream, err := conn.OpenStreamSync(ctx)
	return &quicConn{conn, stream}, err
}

func acceptQUIC(ctx context.Context, conn *quic.Conn) (Conn, error) {
	stream, err := conn.AcceptStream(ctx)
	return &quicConn{conn, stream}, err
}

func (c *quicConn) Via() string                   { return proto.ViaQUIC }
func (c *quicConn) Path() Path                    { return Path{} }
func (c *quicConn) LeftSince() time.Time          { return time.Time{} }
func (c *quicConn) Read(p []byte) (int, error)    { return c.stream.Read(p) }
func (c *quicConn) CloseWrite() error             { return c.stream.Close() }
func (c *quicConn) SetDeadline(t time.Time) error { return c.stream.SetDeadline(t) }
func (c *quicConn) TLS() tls.ConnectionState      { return c.conn.ConnectionState().TLS }
func (c *quicConn) LocalAddr() net.Addr           { return c.conn.LocalAddr() }
func (c *quicConn) RemoteAddr() net.Addr          { return c.conn.RemoteAddr() }
func (c *quicConn) Context() context.Context      { return c.conn.Context() }
func (c *quicConn) Heard() uint64                 { return c.conn.ConnectionStats().PacketsReceived }
func (c *quicConn) LossBound() bool               { return true } // quic-go has NewReno alone
func (c *quicConn) SetAuthenticated()             {}              // the windows grow by themselves

func (c *quicConn) Send(parts ...[]byte) error {
	for _, p := range parts {
		if _, err := c.stream.Write(p); err != nil {
			return err
		}
	}
	return nil
}

func (c *quicConn) Drain(ctx context.Context) {
	_ = c.stream.Close()
	ctx, cancel := context.WithTimeout(ctx, proto.CloseTimeout)
	defer cancel()
	select {
	case <-c.conn.Context().Done(): // the peer has read the answer and closed
	case <-ctx.Done():
	}
}

func (c *quicConn) Close(code uint64, reason string, _ error) {
	_ = c.conn.CloseWithError(quic.ApplicationErrorCode(code), reason) // always nil
}
