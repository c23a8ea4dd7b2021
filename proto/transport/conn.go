package transport

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto"
	"mesh/proto/tcp"
)

// Conn is what a link runs over: a connection between two keys that TLS has
// proven, and its one stream.
type Conn interface {
	Read(p []byte) (int, error)
	// Send writes the parts one after the other.
	Send(parts ...[]byte) error
	// CloseWrite ends our side of the stream.
	CloseWrite() error
	// SetDeadline is the stream's.
	SetDeadline(t time.Time) error

	TLS() tls.ConnectionState
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
	// Context ends when the connection is known to have ended.
	Context() context.Context
	// LossBound reports whether its congestion control takes every lost packet
	// for a full queue.
	LossBound() bool
	// Heard counts what came from the peer's host.
	Heard() uint64
	// Prove is called when the peer has proven itself.
	Prove()
	// Farewell gives a peer that was refused, and whose side of the stream may
	// be read no more, the time to read why.
	Farewell(ctx context.Context)
	// Close ends the connection and tells the peer the code; reads and writes
	// fail, with err if the carrier has no better idea.
	Close(code uint64, reason string, err error)
	Via() string
}

// quicConn is a QUIC connection.
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
func (c *quicConn) Read(p []byte) (int, error)    { return c.stream.Read(p) }
func (c *quicConn) CloseWrite() error             { return c.stream.Close() }
func (c *quicConn) SetDeadline(t time.Time) error { return c.stream.SetDeadline(t) }
func (c *quicConn) TLS() tls.ConnectionState      { return c.conn.ConnectionState().TLS }
func (c *quicConn) LocalAddr() net.Addr           { return c.conn.LocalAddr() }
func (c *quicConn) RemoteAddr() net.Addr          { return c.conn.RemoteAddr() }
func (c *quicConn) Context() context.Context      { return c.conn.Context() }
func (c *quicConn) Heard() uint64                 { return c.conn.ConnectionStats().PacketsReceived }
func (c *quicConn) LossBound() bool               { return true } // NewReno
func (c *quicConn) Prove()                        {}

func (c *quicConn) Send(parts ...[]byte) error {
	for _, p := range parts {
		if _, err := c.stream.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// Farewell waits for the peer to close: a closing of ours would overtake what
// is on the stream.
func (c *quicConn) Farewell(ctx context.Context) {
	_ = c.stream.Close()
	ctx, cancel := context.WithTimeout(ctx, proto.CloseTimeout)
	defer cancel()
	select {
	case <-c.conn.Context().Done():
	case <-ctx.Done():
	}
}

func (c *quicConn) Close(code uint64, reason string, _ error) {
	_ = c.conn.CloseWithError(quic.ApplicationErrorCode(code), reason) // always nil
}

// tcpConn is TLS over TCP.
type tcpConn struct{ *tcp.Conn }

func (c *tcpConn) Via() string              { return proto.ViaTCP }
func (c *tcpConn) Farewell(context.Context) {} // a closing comes behind what is on the stream

func (c *tcpConn) Close(code uint64, _ string, err error) {
	if code == proto.CodeBroken {
		c.Abort(err)
		return
	}
	c.Conn.Close(code, err)
}
