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
	// closeTimeout bounds the wait for a client's part of the closing handshake. It is
	// shorter than the 5 s of [websocket.Conn.Close], which at their end starts a goroutine
	// for each frame that still comes.
	closeTimeout = 2 * time.Second
	// maxBad is how many malformed events end a connection.
	maxBad = 3
)

// conn is the connection of a client. One goroutine reads. As long as something is queued,
// a goroutine writes: another one, or the reader itself while it handles an event, whose
// answer then needs no other goroutine. It implements [broker.Out].
type conn struct {
	s        *Server
	ws       *websocket.Conn
	entrance *entrance
	broker   atomic.Pointer[broker.Conn] // once the client is logged in

	mu      sync.Mutex
	queue   []hub.Event
	bytes   int                   // of the data of the events in queue
	writing bool                  // a goroutine will write what is queued
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

// serve logs the client in, and reads its events in another goroutine: the stack of this
// one has grown with the login, and thousands of connections are idle for hours.
func (c *conn) serve(l hub.Login, from netip.AddrPort) {
	if !c.s.add(c) {
		c.closeWith(hub.CloseFull, "the hub is full")
		return
	}
	k, err := c.login(l, from)
	if err != nil {
		code := websocket.StatusCode(hub.CloseBadLogin)
		if d, ok := errors.AsType[*broker.Denied](err); ok {
			code = websocket.StatusCode(d.Code)
		}
		c.closeWith(code, closeReason(err))
		c.end()
		return
	}
	c.ws.SetReadLimit(hub.MaxEventBytes)
	c.s.wg.Go(func() { c.run(k) })
}

// closeWith makes the closing handshake, and closes the connection.
func (c *conn) closeWith(code websocket.StatusCode, reason string) {
	_ = c.entrance.SetReadDeadline(time.Now().Add(closeTimeout))
	_ = c.ws.Close(code, reason)
}

// end forgets the connection.
func (c *conn) end() {
	_ = c.ws.CloseNow()
	c.s.remove(c)
}

// run reads events until the connection ends.
func (c *conn) run(k *broker.Conn) {
	defer c.end()
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
	ctx, cancel := context.WithTimeout(context.Background(), c.s.waits.hello)
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
		c.s.o.Broker.NoteFailed(from.Addr())
		return nil, errors.New("the first event is no system.hello")
	}
	defer c.write(c.claim())
	k, err := c.s.o.Broker.Login(l, &h, from, c)
	if err == nil {
		c.broker.Store(k)
		c.entrance.door.leave(c.entrance)
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
			mine := c.claim()
			k.Handle(e)
			c.write(mine)
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
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing != nil || c.closed {
		return
	}
	if len(c.queue) >= maxQueued || c.bytes+len(e.Data) > maxQueuedBytes {
		c.closed = true
		c.queue, c.bytes = nil, 0
		c.s.o.Metrics.queueDrop()
		c.s.wg.Go(func() { c.closeWith(hub.CloseTooSlow, "too slow") })
		return
	}
	c.queue, c.bytes = append(c.queue, e), c.bytes+len(e.Data)
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
		c.s.wg.Go(func() { c.write(true) })
	}
}

// claim makes the caller the one that writes, and reports whether it is: it must call
// write soon.
func (c *conn) claim() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	mine := !c.writing
	c.writing = true
	return mine
}

// write writes what is queued, if that is the caller's to do, and returns when that is
// nothing more.
func (c *conn) write(mine bool) {
	for mine {
		e, end, more := c.next()
		switch {
		case end != nil:
			c.closeWith(end.Code, end.Reason)
			return
		case !more:
			return
		}
		if c.writeEvent(e) != nil {
			_ = c.ws.CloseNow()
		}
	}
}

// texts hold the text of an event while it is written.
var texts = sync.Pool{New: func() any { return new([]byte) }}

// writeEvent encodes and writes an event. It returns an error of the connection.
func (c *conn) writeEvent(e hub.Event) error {
	b := texts.Get().(*[]byte)
	defer texts.Put(b)
	text, err := e.Append((*b)[:0])
	if err != nil {
		c.s.o.Log.Error("event is not sent", "type", e.Type, "err", err)
		return nil
	}
	*b = text
	// A context with a deadline would cost more than the write.
	_ = c.entrance.SetWriteDeadline(time.Now().Add(writeTimeout))
	err = c.ws.Write(context.Background(), websocket.MessageText, text)
	_ = c.entrance.SetWriteDeadline(time.Time{})
	return err
}

// next takes the next event off the queue. At the end of the queue it returns with what to
// close the connection, if it is to be closed; else writing is over.
func (c *conn) next() (e hub.Event, end *websocket.CloseError, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) > 0 {
		e, c.queue[0] = c.queue[0], hub.Event{}
		c.queue, c.bytes = c.queue[1:], c.bytes-len(e.Data)
		return e, nil, true
	}
	if c.closing != nil && !c.closed {
		c.closed = true
		return e, c.closing, false
	}
	c.writing, c.queue = false, nil
	return e, nil, false
}
