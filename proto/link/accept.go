package link

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/transport"
	"mesh/proto/wire"
)

// listeners are the listeners of one endpoint. The zero value is ready to use.
type listeners struct {
	change sync.Mutex              // serializes opening and closing
	stop   context.CancelCauseFunc // ends serving; nil while nobody serves
	served chan struct{}           // closed when serving has ended

	mu  sync.Mutex
	all []*Listener // the oldest first
	err error       // why serving has ended
}

// addListener makes a listener one of those that peers are offered to, and listens
// on the sockets for the first one.
func (e *Endpoint) addListener(l *Listener) error {
	ls := &e.listeners
	ls.change.Lock()
	defer ls.change.Unlock()
	if ls.stop == nil {
		in, err := e.Endpoint.Listen(e.refuseOwnKey)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		served := make(chan struct{})
		ls.stop, ls.served, ls.err = cancel, served, nil
		go func() {
			defer close(served)
			ls.stopAll(in.Serve(ctx, e.serve))
		}()
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.all = append(ls.all, l)
	if ls.err != nil {
		l.stop(ls.err)
	}
	return nil
}

// stopAll ends the Accepts of all listeners when serving has ended.
func (ls *listeners) stopAll(err error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.err = err
	for _, l := range ls.all {
		l.stop(err)
	}
}

// removeListener undoes addListener. For the last one it waits until all handshakes
// have ended.
func (e *Endpoint) removeListener(l *Listener) {
	ls := &e.listeners
	ls.change.Lock()
	defer ls.change.Unlock()
	ls.mu.Lock()
	ls.all = slices.DeleteFunc(ls.all, func(other *Listener) bool { return other == l })
	last := len(ls.all) == 0
	ls.mu.Unlock()
	if last && ls.stop != nil {
		ls.stop(errClosed)
		<-ls.served
		ls.stop = nil
	}
}

func (ls *listeners) list() []*Listener {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return slices.Clone(ls.all)
}

func (e *Endpoint) refuseOwnKey(id identity.ID) error {
	if id == e.key.ID() {
		return proto.Errorf(proto.Identity, "the peer shows this node's own key")
	}
	return nil
}

// serve takes one connection through the handshake and hands its link to the
// listener or the session that it belongs to.
func (e *Endpoint) serve(ctx context.Context, in transport.Incoming) {
	a, err := e.acceptPeer(ctx, in)
	if err != nil {
		e.logRefusal(in, err)
		return
	}
	in.Release()
	link := a.link
	e.log.Info("peer connected", "peer", link.Peer, "addr", link.Addr(), "via", link.Via(), "granted", link.Granted, "transfer", link.Transfer)
	switch {
	case link.flow:
		e.joinSession(link)
	case link.session == nil:
		e.resumeSession(link)
	default:
		a.listener.trackLink(link)
		a.listener.deliver(link)
	}
}

// logRefusal logs a connection that was turned away. Only a peer that has proven
// something gets a line of its own.
func (e *Endpoint) logRefusal(in transport.Incoming, err error) {
	switch code := proto.CodeOf(err); {
	case code == proto.Capability, code == proto.Declined, errors.Is(err, handshake.ErrPath):
		e.Refuses(err)
		e.log.Info("peer turned away", "addr", in.Addr, "err", err)
	default:
		e.TurnedAway(in.Addr.String(), err)
	}
}

// accepted is a link at the listener's end. It has a session if it begins one.
type accepted struct {
	link     *Link
	listener *Listener
}

// acceptPeer completes a connection and its handshake. If that fails, the connection
// has been closed.
func (e *Endpoint) acceptPeer(ctx context.Context, in transport.Incoming) (accepted, error) {
	accepting, cancel := withDue(ctx, in)
	conn, err := in.Accept(accepting)
	if err != nil {
		err = transport.HandshakeError(accepting, err)
	}
	cancel()
	if err != nil {
		return accepted{}, err
	}
	ctx, cancel = withDue(ctx, in) // it may be due sooner since
	defer cancel()
	a, err := e.answerHello(ctx, conn)
	if err != nil {
		code := proto.CodeOf(err)
		conn.Close(code.Wire(), code.String(), err)
	}
	return a, err
}

// withDue returns a context that ends when the peer must be authenticated.
func withDue(ctx context.Context, in transport.Incoming) (context.Context, context.CancelFunc) {
	return context.WithDeadlineCause(ctx, in.Due(), proto.Errorf(proto.Timeout, "no handshake in time"))
}

// answerHello is the listener's side of P2P_HELLO. It sends a peer that it refuses
// the reason.
func (e *Endpoint) answerHello(ctx context.Context, conn transport.Conn) (accepted, error) {
	peer, err := identity.OfCertificates(conn.TLS().PeerCertificates)
	if err != nil {
		return accepted{}, err
	}
	b, err := bindTo(conn, peer, e.key.ID())
	if err != nil {
		return accepted{}, err
	}
	stop := transport.FailOnDone(ctx, conn)
	defer stop()
	_, body, err := wire.ReadFrame(conn, wire.TypeHello)
	if err != nil {
		return accepted{}, transport.HandshakeError(ctx, err)
	}
	l, v := e.judgeHello(b, body, conn)
	e.Fail(v.Fault)
	link := &Link{
		Peer: peer, Transfer: v.Transfer, Granted: v.Granted, Kind: v.Kind, Name: v.Name, Window: v.Own, PeerWindow: v.Window, Token: v.Token,
		Minor: transport.MinorVersion(conn), endpoint: e, conn: conn, flow: v.Flow, try: v.Try, closing: newTurn(),
	}
	// The dialer may use its session, or know that it has a flow, once it has the answer.
	if s := e.sessions.find(v.Transfer); v.Flow && s != nil {
		s.setStriped()
	}
	if v.Err == nil && v.Secret != nil {
		l.beginSession(link, v.Secret)
	}
	if s := e.sessions.find(v.Transfer); v.Err == nil && v.Secret == nil && !v.Flow && s != nil {
		link.awaited = s
		s.await()
	}
	if v.Err == nil {
		// A dialer that has the answer counts on the link: it must not be late by then.
		if !stop() {
			link.abandon()
			return accepted{}, context.Cause(ctx)
		}
		_ = conn.SetDeadline(time.Now().Add(proto.HelloTimeout))
	}
	if err := conn.Send(wire.AppendFrame(nil, v.Answer)); err != nil {
		link.abandon()
		return accepted{}, transport.HandshakeError(ctx, err)
	}
	if v.Err != nil {
		conn.Drain(ctx)
		return accepted{}, v.Err
	}
	_ = conn.SetDeadline(time.Time{})
	return accepted{link, l}, nil
}

// abandon ends the session that a link has begun, whose dialer does not know it. A session
// that was to go on over the link does not wait for it any more.
func (l *Link) abandon() {
	if l.session != nil {
		l.session.end()
	}
	if l.awaited != nil {
		l.awaited.miss()
	}
}

// judgeHello asks the listeners, the oldest first, until one accepts the dialer. A
// listener that does not know the credential, or waits for other transfers, leaves
// it to the next. If none accepts it, the answer is that of the first that knew the
// credential.
func (e *Endpoint) judgeHello(b handshake.Binding, body []byte, conn transport.Conn) (*Listener, handshake.Verdict) {
	var first *Listener
	refusal := handshake.Verdict{Answer: &wire.Deny{Class: wire.ClassDenied}, Err: errClosed}
	for _, l := range e.listeners.list() {
		v := l.judgeOf(conn).Answer(b, body)
		switch code := proto.CodeOf(v.Err); {
		case code == proto.Denied, code == proto.Declined, code == proto.Capability, errors.Is(v.Err, handshake.ErrPath):
			if first == nil || proto.CodeOf(refusal.Err) == proto.Denied {
				first, refusal = l, v
			}
		default:
			return l, v
		}
	}
	return first, refusal
}
