package link

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto"
	"mesh/proto/tcp"
)

// carrier is what a link runs over: a connection between two keys that TLS has
// proven, and its one stream.
type carrier interface {
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

// quicCarrier is a QUIC connection.
type quicCarrier struct {
	conn   *quic.Conn
	stream *quic.Stream
}

func openQUIC(ctx context.Context, conn *quic.Conn) (carrier, error) {
	stream, err := conn.OpenStreamSync(ctx)
	return &quicCarrier{conn, stream}, err
}

func acceptQUIC(ctx context.Context, conn *quic.Conn) (carrier, error) {
	stream, err := conn.AcceptStream(ctx)
	return &quicCarrier{conn, stream}, err
}

func (c *quicCarrier) Via() string                   { return proto.ViaQUIC }
func (c *quicCarrier) Read(p []byte) (int, error)    { return c.stream.Read(p) }
func (c *quicCarrier) CloseWrite() error             { return c.stream.Close() }
func (c *quicCarrier) SetDeadline(t time.Time) error { return c.stream.SetDeadline(t) }
func (c *quicCarrier) TLS() tls.ConnectionState      { return c.conn.ConnectionState().TLS }
func (c *quicCarrier) LocalAddr() net.Addr           { return c.conn.LocalAddr() }
func (c *quicCarrier) RemoteAddr() net.Addr          { return c.conn.RemoteAddr() }
func (c *quicCarrier) Context() context.Context      { return c.conn.Context() }
func (c *quicCarrier) Heard() uint64                 { return c.conn.ConnectionStats().PacketsReceived }
func (c *quicCarrier) LossBound() bool               { return true } // NewReno
func (c *quicCarrier) Prove()                        {}

func (c *quicCarrier) Send(parts ...[]byte) error {
	for _, p := range parts {
		if _, err := c.stream.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// Farewell waits for the peer to close: a closing of ours would overtake what
// is on the stream.
func (c *quicCarrier) Farewell(ctx context.Context) {
	_ = c.stream.Close()
	ctx, cancel := context.WithTimeout(ctx, proto.CloseTimeout)
	defer cancel()
	select {
	case <-c.conn.Context().Done():
	case <-ctx.Done():
	}
}

func (c *quicCarrier) Close(code uint64, reason string, _ error) {
	_ = c.conn.CloseWithError(quic.ApplicationErrorCode(code), reason) // always nil
}

// tcpCarrier is TLS over TCP.
type tcpCarrier struct{ *tcp.Conn }

func (c *tcpCarrier) Via() string              { return proto.ViaTCP }
func (c *tcpCarrier) Farewell(context.Context) {} // a closing comes behind what is on the stream

func (c *tcpCarrier) Close(code uint64, _ string, err error) {
	if code == proto.CodeBroken {
		c.Abort(err)
		return
	}
	c.Conn.Close(code, err)
}
