package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"mesh/proto"
	"mesh/proto/tcp"
)

// tcpConn is TLS over TCP.
type tcpConn struct{ *tcp.Conn }

func (c *tcpConn) Via() string           { return proto.ViaTCP }
func (c *tcpConn) Path() Path            { return Path{} }
func (c *tcpConn) LeftSince() time.Time  { return time.Time{} }
func (c *tcpConn) Drain(context.Context) {} // TCP keeps the order: the closing comes last

func (c *tcpConn) Close(code uint64, _ string, err error) {
	if code == proto.CodeBroken {
		c.Abort(err)
		return
	}
	c.Conn.Close(code, err)
}

// carriedConn is TLS over a carrier.
type carriedConn struct {
	tcpConn
	carrier Carrier
}

// over returns the connection whose TLS session runs over a carrier.
func (c Carrier) over(conn *tcp.Conn) Conn { return &carriedConn{tcpConn{conn}, c} }

func (c *carriedConn) Path() Path { return c.carrier.Path }

func (c *carriedConn) LeftSince() time.Time {
	if c.carrier.LeftSince == nil {
		return time.Time{}
	}
	return c.carrier.LeftSince()
}

func (c *carriedConn) Read(p []byte) (int, error) {
	n, err := c.tcpConn.Read(p)
	return n, c.carrier.explain(err)
}

func (c *carriedConn) Send(parts ...[]byte) error { return c.carrier.explain(c.tcpConn.Send(parts...)) }

func (c *carriedConn) CloseWrite() error { return c.carrier.explain(c.tcpConn.CloseWrite()) }

// explain makes an error of a carrier that of a broken connection: the peer has not
// signed it. An error of the protocol inside stays as it is.
func (c Carrier) explain(err error) error {
	if err == nil || err == io.EOF || errors.Is(err, tcp.ErrBlock) || errors.Is(err, tcp.ErrIdle) {
		return err
	}
	if _, ok := errors.AsType[*tcp.CloseError](err); ok {
		return err
	}
	if errors.Is(err, tcp.ErrHungUp) || errors.Is(err, tcp.ErrReset) {
		return Break(proto.Errorf(proto.Truncated, "the relay %s has ended the connection", c.Path.Relay))
	}
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, net.ErrClosed) || errors.Is(err, ErrBroken) {
		return err
	}
	return Break(&proto.Error{Code: proto.Truncated, Err: err})
}
