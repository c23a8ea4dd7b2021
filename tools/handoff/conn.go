package handoff

import (
	"bufio"
	"encoding/json"
	"net"
	"sync"

	"mesh/proto"
	"mesh/proto/wire"
)

// conn is a socket that carries frames. One goroutine reads; any number may write.
type conn struct {
	net.Conn
	r *bufio.Reader

	mu sync.Mutex // held while a frame is written
}

func newConn(c net.Conn) *conn { return &conn{Conn: c, r: bufio.NewReaderSize(c, maxFrameBytes)} }

func (c *conn) writeFrame(typ wire.Type, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	frame := net.Buffers{wire.AppendHeader(nil, wire.Header{Type: typ, Bytes: len(body)}), body}
	_, err := frame.WriteTo(c.Conn)
	return err
}

// writeMessage writes a frame with m as JSON.
func (c *conn) writeMessage(typ wire.Type, m any) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return c.writeFrame(typ, body)
}

// readFrame reads a frame. The error is [io.EOF] at an end between two frames.
func (c *conn) readFrame() (typ wire.Type, body []byte, err error) {
	return wire.ReadForeignFrame(c.r, maxFrameBytes)
}

// readMessage reads a frame of one type into m; nil for a frame without a body.
func (c *conn) readMessage(typ wire.Type, m any) error {
	got, body, err := c.readFrame()
	if err != nil {
		return err
	}
	if got != typ {
		return proto.Errorf(proto.Protocol, "frame %q where %q was expected", got, typ)
	}
	if m == nil {
		return nil
	}
	return json.Unmarshal(body, m)
}

// Write implements [io.Writer]: it sends p as data frames.
func (c *conn) Write(p []byte) (n int, err error) {
	for n < len(p) {
		piece := p[n:min(len(p), n+maxFrameBytes)]
		if err := c.writeFrame(typeData, piece); err != nil {
			return n, err
		}
		n += len(piece)
	}
	return n, nil
}
