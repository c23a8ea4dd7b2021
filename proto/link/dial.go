package link

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/path"
	"mesh/proto/token"
	"mesh/proto/transport"
	"mesh/proto/wire"
)

// Target is whom to dial and with what.
type Target struct {
	// ID is the pin: no other key is talked to.
	ID identity.ID
	// Addrs are HOST:PORT, tried all at once.
	Addrs []string
	// Credential proves that we may.
	Credential token.Credential
	// Want is what to ask for. The listener grants some of it; Need must be
	// among that.
	Want, Need proto.Caps
	// First, if it is set, returns the first frames of the transfer with that id,
	// up to [proto.MaxFirstBytes] and a few headers. They ride along with
	// P2P_HELLO, unread if that is refused. It is called for each connection that
	// gets as far.
	First func(wire.TransferID) []byte
	// Kind is that of the transfers; "" for pipes.
	Kind string
	// Try, if it is set, says that the caller dials again, and bounds the wait for
	// somebody to be there, but not the wait for the answer of who is.
	Try time.Duration

	// was is what carried the transfer that is to go on, at the first of Addrs.
	// Where that says that nobody listens any more, and the other carrier finds
	// nobody either, the error is errLeft.
	was string
}

// Dial makes a link to the target. It blocks for at most [proto.DialTimeout].
// The error's code says whether to try again: [proto.Unreachable] and
// [proto.Busy] may pass, and so may what breaks a link; the others will not. A
// dial that nobody has answered may have begun the transfer all the same: the next
// one on this endpoint, for the same, goes on with it.
func (e *Endpoint) Dial(ctx context.Context, t Target) (*Link, error) {
	if t.ID == e.key.ID() {
		return nil, proto.Errorf(proto.Identity, "dial %s: that is this node's own key", t.ID.Short())
	}
	ctx, cancel := context.WithTimeoutCause(ctx, proto.DialTimeout, transport.ErrNoAnswer)
	defer cancel()
	if b, ok := e.asked.of(&t); ok {
		l, err := e.comeBack(ctx, t, b)
		if err == nil || proto.CodeOf(err) == proto.Denied {
			e.asked.remove(&t)
		}
		if proto.CodeOf(err) != proto.Denied {
			return l, err
		}
	}
	return e.dial(ctx, t, nil)
}

// dial makes a link, of a session that there is already or of one that begins.
func (e *Endpoint) dial(ctx context.Context, t Target, s *session) (*Link, error) {
	there, cancel := ctx, func() {}
	if t.Try > 0 {
		there, cancel = context.WithTimeoutCause(ctx, t.Try, errNobodyYet)
	}
	prefer := proto.ViaTCP
	if t.Kind == wire.KindTTY {
		prefer = proto.ViaQUIC
	}
	conn, err := path.Dial(there, e.Endpoint, path.Target{ID: t.ID, Addrs: t.Addrs, Prefer: prefer, Was: t.was})
	cancel()
	if err != nil {
		return nil, err
	}
	return e.greet(ctx, conn, t, s)
}

// greet is hello on a connection that it owns.
func (e *Endpoint) greet(ctx context.Context, conn transport.Conn, t Target, s *session) (*Link, error) {
	l, err := e.hello(ctx, conn, t, s)
	if err != nil {
		code, reason := proto.CodeOf(err).Wire(), proto.CodeOf(err).String()
		if (s != nil || t.Try > 0) && (errors.Is(err, transport.ErrNoAnswer) || errors.Is(err, transport.ErrBroken)) {
			// The answer may be on its way, and the listener on this link with
			// its transfer: another try goes on with that.
			code, reason = proto.CodeBroken, "broken"
		}
		conn.Close(code, reason, err)
		return nil, fmt.Errorf("%s: %w", conn.RemoteAddr(), err)
	}
	return l, nil
}

var errNobodyYet = proto.Errorf(proto.Unreachable, "no answer")

// hello is the dialer's handshake on a connection whose other end has shown the
// right key.
func (e *Endpoint) hello(ctx context.Context, conn transport.Conn, t Target, s *session) (*Link, error) {
	b, err := binding(conn.TLS(), e.key.ID(), t.ID)
	if err != nil {
		return nil, err
	}
	d, err := handshake.NewDialer(b, t.Credential, t.Want, t.Kind, e.WindowBytes())
	if err != nil {
		return nil, err
	}
	stop := transport.Bound(ctx, conn)
	defer stop()
	sent, begins := time.Now(), s == nil
	frame := wire.AppendHeader(nil, wire.Header{Type: wire.TypeHello, Bytes: len(d.Hello)})
	id, err := b.Transfer(t.Credential.Secret)
	if err != nil {
		return nil, err
	}
	var first []byte
	if begins {
		secret, err := b.ResumeSecret(t.Credential.Secret)
		if err != nil {
			return nil, err
		}
		s = &session{secret: secret, endpoint: e, target: t}
		if t.First != nil {
			first = t.First(id)
		}
		e.asked.add(&t, begun{id, secret})
	}
	if err := conn.Send(frame, d.Hello, first); err != nil {
		return nil, transport.HandshakeError(ctx, err)
	}
	typ, body, err := wire.ReadFrame(conn, wire.TypeOK, wire.TypeDeny)
	if err != nil {
		return nil, transport.HandshakeError(ctx, err)
	}
	rtt := time.Since(sent)
	if !stop() { // too late: nobody goes on with what the answer says
		return nil, context.Cause(ctx)
	}
	if begins {
		e.asked.remove(&t)
	}
	ok, granted, err := d.Finish(typ, body)
	if err != nil {
		return nil, err
	}
	if begins && ok.Transfer != id {
		return nil, proto.Errorf(proto.Protocol, "the peer names another transfer than the one that begins")
	}
	if !granted.Has(t.Need) {
		return nil, proto.Errorf(proto.Capability, "the peer allows %s here, and we need %s", granted, t.Need)
	}
	return e.keep(&Link{session: s, flow: t.Credential.Method == wire.MethodFlow, Peer: t.ID, Transfer: ok.Transfer, Granted: granted, Kind: cmp.Or(t.Kind, wire.KindPipe), Window: e.WindowBytes(), PeerWindow: ok.Window, Dialed: true, RTT: rtt, conn: conn}), nil
}
