package serve

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
)

const (
	// maxQueued and maxQueuedBytes bound what waits for a client that reads slowly, and
	// writeTimeout each write to it.
	maxQueued      = 64
	maxQueuedBytes = 256 << 10
	writeTimeout   = 10 * time.Second
	// maxBad is how many malformed events end a connection.
	maxBad = 3
)

// conn is the connection of a client. One goroutine reads; another one writes, as long
// as something is queued. It implements [broker.Out].
type conn struct {
	s        *Server
	ws       *websocket.Conn
	entrance *entrance
	broker   atomic.Pointer[broker.Conn] // once the client is logged in

	mu      sync.Mutex
	queue   [][]byte
	bytes   int
	writing bool
	closing *websocket.CloseError // to send after the queue
	closed  bool
}

// onPing notes that the client is alive.
func (c *conn) onPing(context.Context, []byte) bool {
	if k := c.broker.Load(); k != nil {
		k.Ping()
	}
	return true
}

// serve runs the connection until it ends.
func (c *conn) serve(l hub.Login, from netip.AddrPort) {
	defer c.ws.CloseNow()
	if !c.s.add(c) {
		_ = c.ws.Close(hub.CloseFull, "the hub is full")
		return
	}
	defer c.s.remove(c)
	k, err := c.login(l, from)
	if err != nil {
		code := websocket.StatusCode(hub.CloseBadLogin)
		if d, ok := errors.AsType[*broker.Denied](err); ok {
			code = websocket.StatusCode(d.Code)
		}
		_ = c.ws.Close(code, closeReason(err))
		return
	}
	if c.entrance != nil {
		c.entrance.door.leave(c.entrance)
	}
	c.ws.SetReadLimit(hub.MaxEventBytes)
	switch err := c.read(k); websocket.CloseStatus(err) {
	case websocket.StatusNormalClosure, websocket.StatusGoingAway:
		k.Left()
	default:
		k.Lost()
	}
}

// closeReason returns what a client whose login failed is told; no more than the broker
// says.
func closeReason(err error) string {
	if d, ok := errors.AsType[*broker.Denied](err); ok {
		return d.Reason
	}
	return "login refused"
}

// login proves the hub's key and checks the client's hello.
func (c *conn) login(l hub.Login, from netip.AddrPort) (*broker.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.s.hello)
	defer cancel()
	challenge, err := hub.New(hub.TypeChallenge, &hub.Challenge{Hub: l.Hub, Nonce: l.HubNonce, Proof: l.Prove(c.s.o.Key), Software: c.s.o.Software})
	if err != nil {
		return nil, err
	}
	text, err := challenge.Encode()
	if err != nil {
		return nil, err
	}
	if err := c.ws.Write(ctx, websocket.MessageText, text); err != nil {
		return nil, err
	}
	c.ws.SetReadLimit(hub.MaxHelloBytes)
	typ, text, err := c.ws.Read(ctx)
	if err != nil {
		return nil, err
	}
	var h hub.Hello
	e, err := hub.Decode(text, hub.MaxHelloBytes)
	if err == nil {
		err = e.Read(&h)
	}
	if err != nil || typ != websocket.MessageText || e.Type != hub.TypeHello {
		c.s.o.Metrics.Count(broker.CountLogins, "bad_login")
		return nil, errors.New("the first event is no system.hello")
	}
	k, err := c.s.o.Broker.Login(l, &h, from, c)
	if err == nil {
		c.broker.Store(k)
	}
	return k, err
}

// read passes events on until the connection ends.
func (c *conn) read(k *broker.Conn) error {
	for bad := 0; ; {
		typ, r, err := c.ws.Reader(context.Background())
		if err != nil {
			return err
		}
		e, malformed, err := decode(r)
		if err != nil {
			return err
		}
		if typ != websocket.MessageText {
			c.Close(hub.CloseBadEvent, "want text messages")
			continue
		}
		if malformed == nil && known(e) {
			k.Handle(e)
			continue
		}
		if malformed == nil {
			k.Handle(e) // answers that it is no event
		} else if answer, err := hub.New(hub.TypeError, &hub.Error{Code: hub.CodeBadEvent}); err == nil {
			c.Send(answer)
		}
		if bad++; bad == maxBad {
			c.Close(hub.CloseBadEvent, "malformed events")
		}
	}
}

// buffers hold a message while it is decoded. Thousands of connections share a few.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// decode reads a message to its end and decodes it. The last error is that of reading.
func decode(r io.Reader) (e hub.Event, malformed, err error) {
	b := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(b)
	b.Reset()
	if _, err := b.ReadFrom(r); err != nil {
		return e, nil, err
	}
	e, malformed = hub.Decode(b.Bytes(), hub.MaxEventBytes)
	return e, malformed, nil
}

func known(e hub.Event) bool {
	p := e.Prefix()
	return p == "system" || p == "room" || p == "p2p"
}

// Send implements [broker.Out].
func (c *conn) Send(e hub.Event) {
	text, err := e.Encode()
	if err != nil {
		c.s.o.Log.Error("event is not sent", "type", e.Type, "err", err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing != nil || c.closed {
		return
	}
	if len(c.queue) >= maxQueued || c.bytes+len(text) > maxQueuedBytes {
		c.closed = true
		c.queue, c.bytes = nil, 0
		c.s.o.Metrics.queueDrop()
		c.s.wg.Go(func() { _ = c.ws.Close(hub.CloseTooSlow, "too slow") })
		return
	}
	c.queue, c.bytes = append(c.queue, text), c.bytes+len(text)
	c.startLocked()
}

// Close implements [broker.Out].
func (c *conn) Close(code int, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing != nil || c.closed {
		return
	}
	c.closing = &websocket.CloseError{Code: websocket.StatusCode(code), Reason: reason}
	c.startLocked()
}

// startLocked starts the goroutine that writes, unless there is one.
func (c *conn) startLocked() {
	if !c.writing {
		c.writing = true
		c.s.wg.Go(c.write)
	}
}

// write writes what is queued, and ends when that is nothing.
func (c *conn) write() {
	for {
		text, end := c.next()
		switch {
		case end != nil:
			_ = c.ws.Close(end.Code, end.Reason)
			return
		case text == nil:
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
		err := c.ws.Write(ctx, websocket.MessageText, text)
		cancel()
		if err != nil {
			_ = c.ws.CloseNow()
		}
	}
}

func (c *conn) next() (text []byte, end *websocket.CloseError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) > 0 {
		text = c.queue[0]
		c.queue, c.bytes = c.queue[1:], c.bytes-len(text)
		return text, nil
	}
	if c.closing != nil && !c.closed {
		c.closed = true
		return nil, c.closing
	}
	c.writing, c.queue = false, nil
	return nil, nil
}
