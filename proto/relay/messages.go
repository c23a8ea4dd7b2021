package relay

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"github.com/coder/websocket"
)

// messages is the stream that the binary messages of a WebSocket carry. Their borders mean
// nothing. One goroutine may read while another one writes.
//
// No context and no deadline is given to the WebSocket once the stream runs: either would
// end the connection when it passes, as [websocket.NetConn] does.
type messages struct {
	ws    *websocket.Conn
	msg   io.Reader   // the rest of a message; nil between two
	ended atomic.Bool // the Close frame of the other side was read
}

func newMessages(ws *websocket.Conn) *messages {
	ws.SetReadLimit(MaxMessageBytes)
	return &messages{ws: ws}
}

// next waits for the next message. The error is [io.EOF] after a Close frame that says
// that the process at the other end is done.
func (m *messages) next() error {
	typ, r, err := m.ws.Reader(context.Background())
	switch {
	case err == nil && typ != websocket.MessageBinary:
		return errors.New("the WebSocket carries text")
	case err == nil:
		m.msg = r
		return nil
	case websocket.CloseStatus(err) == websocket.StatusNormalClosure || websocket.CloseStatus(err) == websocket.StatusGoingAway:
		m.ended.Store(true)
		return io.EOF
	case errors.Is(err, io.EOF): // it is no clean end, and must not look like one
		return io.ErrUnexpectedEOF
	}
	return err
}

// Read implements [io.Reader].
func (m *messages) Read(p []byte) (int, error) {
	for {
		if m.msg == nil {
			if err := m.next(); err != nil {
				return 0, err
			}
		}
		n, err := m.msg.Read(p)
		if err == io.EOF {
			m.msg = nil
			err = nil
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

// Write implements [io.Writer].
func (m *messages) Write(p []byte) (int, error) {
	written := 0
	for {
		part := p[written:min(len(p), written+MaxMessageBytes)]
		if err := m.ws.Write(context.Background(), websocket.MessageBinary, part); err != nil {
			return written, err
		}
		if written += len(part); written == len(p) {
			return written, nil
		}
	}
}

// end sends the Close frame that says that the process is done, and waits some seconds for
// that of the other side.
func (m *messages) end() { _ = m.ws.Close(websocket.StatusNormalClosure, "") }
