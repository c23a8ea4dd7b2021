package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/identity"
)

// answerTimeout bounds the wait for the answer to an event, writeTimeout each write, and
// movedPong that for a pong after a change of this machine's network.
const (
	answerTimeout = 10 * time.Second
	writeTimeout  = 10 * time.Second
	movedPong     = 1500 * time.Millisecond
)

// Conn is a connection that is logged in.
type Conn struct {
	// Hub is the hub's key, which it has proven. Bound says that the proof names this
	// connection.
	Hub     identity.ID
	Bound   bool
	Welcome hub.Welcome
	// Certificate is the hub's, or that of the proxy before it; nil for a URL without TLS.
	Certificate *x509.Certificate

	url       hub.URL
	transport func(cfg *tls.Config) *http.Transport
	trusted   bool        // the hub's certificate is one that this system vouches for
	shown     []string    // vouchers
	renew     atomic.Bool // this end closes it to log in again
	welcomed  atomic.Bool // the login has ended well

	nextChange func() <-chan struct{} // of this machine's network

	ws     *websocket.Conn
	handle func(hub.Event)
	done   chan struct{} // closed when the connection has ended
	err    error         // why; readable once done is closed

	mu      sync.Mutex
	next    int
	waiting map[string]chan hub.Event
}

// Error is the hub's answer system.error, or the code with which a request was declined.
type Error struct{ Answer hub.Error }

// CodeOf returns the code of the hub's answer that err is, or "".
func CodeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Answer.Code
	}
	return ""
}

// RetryAfter returns how long the hub's answer that err is asks to wait, at most
// [hub.MaxRetryAfter]; 0 if it does not say.
func RetryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return min(time.Duration(e.Answer.RetryAfterS)*time.Second, hub.MaxRetryAfter)
	}
	return 0
}

// texts say what the code of a listener or a hub means.
var texts = map[string]string{
	hub.CodeBusy: "the peer serves as many as it can", hub.CodeDeclined: "the peer declined", hub.CodeDenied: "the peer has no rule that lets this node in",
	hub.CodeCapability: "the peer does not allow what is asked for", hub.CodeKind: "the peer does not take this kind of transfer",
	hub.CodeTimeout: "the peer did not answer in time", hub.CodeOffline: "the peer is not online", hub.CodeNotFound: "the hub knows no such peer",
	hub.CodeNoCode: "there is no such code: it is mistyped, used or expired",
}

// Error returns what the code means, or the text of the hub, which is a stranger's.
func (e *Error) Error() string {
	if text, ok := texts[e.Answer.Code]; ok {
		return text
	}
	if e.Answer.Text == "" {
		return "the hub answers " + proto.QuoteText(e.Answer.Code)
	}
	return "the hub answers " + proto.QuoteText(e.Answer.Text)
}

// Run reads events until the connection ends, and pings the hub meanwhile. It returns
// why it ended.
func (c *Conn) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { c.ping(ctx) })
	c.err = c.read(ctx)
	cancel()
	close(c.done)
	wg.Wait()
	return c.err
}

func (c *Conn) read(ctx context.Context) error {
	for {
		e, err := c.readEvent(ctx)
		if err != nil {
			return err
		}
		if e.Ref == "" {
			c.handle(e)
			continue
		}
		c.mu.Lock()
		answer := c.waiting[e.Ref]
		delete(c.waiting, e.Ref)
		c.mu.Unlock()
		if answer != nil {
			answer <- e
		}
	}
}

// ping pings at random times, so that the nodes of a hub do not ping together, and after each
// change of this machine's network. Without an answer to the latter it logs in again.
func (c *Conn) ping(ctx context.Context) {
	changed := c.nextChange()
	for {
		wait, timeout := hub.PingEvery-hub.PingEvery/10+rand.N(hub.PingEvery/5), hub.PongTimeout
		select {
		case <-time.After(wait):
		case <-changed:
			changed, timeout = c.nextChange(), movedPong
		case <-ctx.Done():
			return
		}
		pong, cancel := context.WithTimeout(ctx, timeout)
		err := c.ws.Ping(pong)
		cancel()
		if err != nil {
			if timeout == movedPong {
				c.renew.Store(true)
			}
			_ = c.ws.CloseNow()
			return
		}
	}
}

// Close closes the connection, which is how a node leaves.
func (c *Conn) Close() { _ = c.ws.Close(websocket.StatusNormalClosure, "") }

// Call sends an event and returns the answer. An answer system.error is an [Error].
// [Conn.Run] must be running.
func (c *Conn) Call(ctx context.Context, typ string, data hub.Data) (hub.Event, error) {
	answer := make(chan hub.Event, 1)
	c.mu.Lock()
	c.next++
	id := strconv.Itoa(c.next)
	c.waiting[id] = answer
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
	}()
	if err := c.write(ctx, typ, id, data); err != nil {
		return hub.Event{}, err
	}
	timer := time.NewTimer(answerTimeout)
	defer timer.Stop()
	select {
	case e := <-answer:
		return e, asError(e)
	case <-c.done:
		return hub.Event{}, lost(c.err)
	case <-timer.C:
		return hub.Event{}, proto.Errorf(proto.Unreachable, "the hub does not answer")
	case <-ctx.Done():
		return hub.Event{}, context.Cause(ctx)
	}
}

// Send sends an event that the hub does not answer.
func (c *Conn) Send(ctx context.Context, typ string, data hub.Data) error {
	return c.write(ctx, typ, "", data)
}

// asError returns the error that an answer is, or nil.
func asError(e hub.Event) error {
	if e.Type != hub.TypeError {
		return nil
	}
	var d hub.Error
	if err := e.Read(&d); err != nil {
		return &proto.Error{Code: proto.Protocol, Err: err}
	}
	return &proto.Error{Code: ExitCode(d.Code), Err: &Error{d}}
}

// exitCodes are the exit codes of the codes of hubs.
var exitCodes = map[string]proto.Code{
	hub.CodeNotFound: proto.Unreachable, hub.CodeOffline: proto.Unreachable, hub.CodeTimeout: proto.Unreachable, hub.CodeGone: proto.Unreachable,
	hub.CodeLimit: proto.Busy, hub.CodeRateLimited: proto.Busy, hub.CodeDraining: proto.Busy, hub.CodeBusy: proto.Busy, hub.CodeInternal: proto.Busy,
	hub.CodeCapability: proto.Capability, hub.CodeKind: proto.Capability,
	hub.CodeTaken: proto.Declined, hub.CodeReserved: proto.Declined, hub.CodeDeclined: proto.Declined,
	hub.CodeDenied: proto.Denied, hub.CodeBadToken: proto.Denied, hub.CodeNotMember: proto.Denied, hub.CodeNoCode: proto.Denied, hub.CodeUnsupported: proto.Version, hub.CodeBadName: proto.Usage,
}

// ExitCode returns the exit code of a tool that ends with the code of a hub.
func ExitCode(code string) proto.Code {
	if c, ok := exitCodes[code]; ok {
		return c
	}
	return proto.Protocol
}

func (c *Conn) write(ctx context.Context, typ, id string, data hub.Data) error {
	e, err := hub.New(typ, data)
	if err != nil {
		return err
	}
	e.ID = id
	text, err := e.Encode()
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// A caller that gives up must not end the connection, as the end of this ctx does.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageText, text); err != nil {
		return lost(err)
	}
	return nil
}

// expect reads the next event, which must have the type.
func (c *Conn) expect(ctx context.Context, typ string, into hub.Data) error {
	e, err := c.readEvent(ctx)
	if err != nil {
		return err
	}
	if e.Type != typ {
		return proto.Errorf(proto.Protocol, "the hub sends %s, want %s", e.Type, typ)
	}
	if err := e.Read(into); err != nil {
		return &proto.Error{Code: proto.Protocol, Err: err}
	}
	return nil
}

func (c *Conn) readEvent(ctx context.Context) (hub.Event, error) {
	typ, text, err := c.ws.Read(ctx)
	if err != nil {
		return hub.Event{}, lost(err)
	}
	e, err := hub.Decode(text, hub.MaxEventBytes)
	if err != nil || typ != websocket.MessageText {
		_ = c.ws.CloseNow()
		return hub.Event{}, proto.Errorf(proto.Protocol, "the hub sends what is no event: %w", errors.Join(err))
	}
	return e, nil
}

// lost gives the error of a connection that has ended its code.
func lost(err error) error {
	if _, ok := errors.AsType[*proto.Error](err); ok {
		return err
	}
	if errors.Is(err, websocket.ErrMessageTooBig) {
		return proto.Errorf(proto.Protocol, "the hub sends an event of more than %d bytes", hub.MaxEventBytes)
	}
	code := proto.Unreachable
	switch websocket.CloseStatus(err) {
	case hub.CloseBadLogin, hub.CloseNoMember:
		code = proto.Denied
	case hub.CloseVersion:
		code = proto.Version
	case hub.CloseFull:
		code = proto.Busy
	case hub.CloseBadEvent:
		code = proto.Protocol
	}
	if e, ok := errors.AsType[websocket.CloseError](err); ok {
		return &proto.Error{Code: code, Err: &closedError{e}}
	}
	return proto.Errorf(code, "connection lost: %w", innermost(err))
}

// innermost returns the error at the end of the chain. The text of the others names steps
// of package websocket, which say nothing to a user.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// closedError is a close frame of the hub.
type closedError struct{ websocket.CloseError }

// Error returns the hub's reason, which is a stranger's text.
func (e *closedError) Error() string {
	return fmt.Sprintf("the hub closes the connection: %s", proto.QuoteText(e.Reason))
}

// closeCode returns the code with which the hub closed the connection, or -1.
func closeCode(err error) int {
	if e, ok := errors.AsType[*closedError](err); ok {
		return int(e.Code)
	}
	return -1
}
