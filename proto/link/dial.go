package link

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/path"
	"mesh/proto/token"
	"mesh/proto/transport"
	"mesh/proto/wire"
)

// Target says which peer to dial, where, and what for.
type Target struct {
	// ID is the pin: the peer must have this key.
	ID identity.ID
	// Addrs are HOST:PORT, and Candidates further addresses, which may arrive during
	// the dial. The sender closes the channel after the last one; the next dial needs a
	// channel of its own. All addresses are dialled at the same time: see [path.Dial].
	Addrs      []string
	Candidates <-chan candidate.Candidate
	// Routes are further routes, which arrive as Candidates do. One through a relay is
	// used if nothing direct comes soon.
	Routes <-chan path.Route
	// Meeting returns the routes of the further dials of the session. Nil for none but
	// Addrs.
	Meeting Meeting
	// Prefer says which transport suits the transfer, Via which paths are allowed, also
	// when the transfer goes on over another link.
	Prefer path.Preference
	Via    path.Via
	// Credential proves what this node may do.
	Credential token.Credential
	// Want is what to ask for. The listener grants a part of it, which must include
	// Need.
	Want, Need proto.Caps
	// Kind is the kind of the transfer; "" for a pipe.
	Kind string
	// Name is that of a pipe that begins, for an inbox; "" for none. A listener of a minor
	// version below [NameMinor] does not hear of it.
	Name string
	// First, if it is set, returns the early data of the transfer with that id: its
	// first frames, up to [proto.MaxFirstBytes] and a few headers. They are sent
	// with P2P_HELLO, and the listener does not read them if it refuses that. First
	// is called once for each connection that is made, but not over a relay: no byte of
	// a transfer crosses a path that the listener then refuses.
	First func(wire.TransferID) []byte
	// AttemptTimeout limits how long a dial may take to reach the peer, but not how
	// long the peer may take to answer P2P_HELLO. A caller that dials again sets it.
	// 0 for no limit but that of [Endpoint.Dial].
	AttemptTimeout time.Duration

	// redials says that the dial goes on with a transfer whose link has broken. Then
	// whatever answers at Addrs with another key is a stranger.
	redials bool
	// try is the [wire.Hello.Try] of a link of a transfer that goes on.
	try uint32
	// broken is what the link that has broken went over. If nobody listens there any
	// more, and nothing else has a peer either, the error is [path.ErrLeft].
	broken path.Broken
	// refused are the paths that the peer has refused in this redial.
	refused []path.Path
}

// Meeting is what has brought both ends of a session together, as a hub does. It lasts
// as long as the session, and finds new routes when a link has broken. Its methods are
// called from several goroutines.
type Meeting interface {
	// Routes begins to look for routes for one dial, and returns at once. The routes
	// arrive until ctx ends; each channel is closed after the last, and nil for none.
	Routes(ctx context.Context) (<-chan candidate.Candidate, <-chan path.Route)
	// Better returns routes for a link that lives, which may be better than its own:
	// those that are known, and further ones as they are found. They arrive as those of
	// Routes do. [Link.Improve] calls it each time it begins to look, and reads until ctx
	// ends, which is when it looks again: after seconds at first, then after minutes.
	Better(ctx context.Context, than path.Kind) (<-chan candidate.Candidate, <-chan path.Route)
	// Relayed reports whether a relay is among the routes. A link that is silent is then
	// given up sooner: see [Link.Watch].
	Relayed() bool
}

// Dial makes a link to the target. It blocks for at most [proto.DialTimeout].
//
// The code of an error says whether another dial may help: [proto.Unreachable],
// [proto.Busy] and an error with [ErrBroken] or [ErrNotReached] may pass, others will
// not. A dial that
// got no answer to P2P_HELLO may have begun a transfer at the listener all the same.
// The next Dial of this endpoint for the same target goes on with that.
func (e *Endpoint) Dial(ctx context.Context, t Target) (*Link, error) {
	if t.ID == e.key.ID() {
		return nil, proto.Errorf(proto.Identity, "dial %s: that is this node's own key", t.ID.Short())
	}
	ctx, cancel := context.WithTimeoutCause(ctx, proto.DialTimeout, transport.ErrNoAnswer)
	defer cancel()
	if b, ok := e.unanswered.take(&t); ok {
		l, err := e.resumeUnanswered(ctx, t, b)
		if proto.CodeOf(err) != proto.Denied {
			return l, err
		}
		if t.Meeting != nil { // the routes that have arrived were used
			t.Candidates, t.Routes = t.Meeting.Routes(ctx)
		}
	}
	return e.dialOnce(ctx, t, nil)
}

// resumeUnanswered makes a link for a transfer that may have begun. An error with
// code [proto.Denied] says that it has not, or that it has ended.
func (e *Endpoint) resumeUnanswered(ctx context.Context, t Target, b begun) (*Link, error) {
	s := newDialedSession(b.secret, t)
	s.dialed.tries = b.tries
	resume := t
	resume.try = s.nextTry()
	resume.Credential = token.Credential{Method: wire.MethodResume, Public: b.transfer[:], Secret: b.secret}
	l, err := e.dialOnce(ctx, resume, s)
	if err != nil {
		if proto.CodeOf(err) != proto.Denied {
			b.tries = resume.try
			e.unanswered.add(&t, b)
		}
		return nil, err
	}
	if l.Transfer != b.transfer {
		err := proto.Errorf(proto.Protocol, "the peer answers for another transfer")
		l.Close(err)
		return nil, err
	}
	l.Resumed = true
	return l, nil
}

// dialOnce makes a link: the first of a new session if s is nil, else the next of s.
func (e *Endpoint) dialOnce(ctx context.Context, t Target, s *session) (*Link, error) {
	connecting, cancel := ctx, func() {}
	if t.AttemptTimeout > 0 {
		connecting, cancel = context.WithTimeoutCause(ctx, t.AttemptTimeout, errAttemptOver)
	}
	to := path.Target{
		ID: t.ID, Addrs: t.Addrs, Given: !t.redials, Candidates: t.Candidates, Routes: t.Routes, Prefer: t.Prefer, Via: t.Via, Broken: t.broken,
		Refused: t.refused,
	}
	conn, err := path.Dial(connecting, e.Endpoint, to)
	cancel()
	if err != nil {
		return nil, err
	}
	return e.openLink(ctx, conn, t, s)
}

var errAttemptOver = proto.Errorf(proto.Unreachable, "no answer")

// openLink makes a link of a connection, which it closes if that fails.
func (e *Endpoint) openLink(ctx context.Context, conn transport.Conn, t Target, s *session) (*Link, error) {
	l, err := e.sayHello(ctx, conn, t, s)
	if err == nil {
		l.watchConn()
		return l, nil
	}
	code, reason := proto.CodeOf(err).Wire(), proto.CodeOf(err).String()
	if (s != nil || t.AttemptTimeout > 0) && (errors.Is(err, transport.ErrNoAnswer) || errors.Is(err, transport.ErrBroken)) {
		// The listener may have answered, and may have begun the transfer on this
		// connection. The next dial goes on with it.
		code, reason = proto.CodeBroken, "broken"
	}
	over := path.Of(e.Endpoint, conn)
	conn.Close(code, reason, err)
	err = fmt.Errorf("%s: %w", conn.RemoteAddr(), err)
	if errors.Is(err, handshake.ErrPath) {
		err = &refusedPath{over, err}
	}
	return nil, err
}

// NameMinor is the minor version from which on P2P_HELLO has the field name.
const NameMinor = 4

// refusedPath is the error of a dial whose path the peer refuses.
type refusedPath struct {
	path.Path
	err error
}

func (e *refusedPath) Error() string { return e.err.Error() }
func (e *refusedPath) Unwrap() error { return e.err }

// tryMinor is the minor version from which on P2P_HELLO has the field try.
const tryMinor = 2

// sayHello is the dialer's side of P2P_HELLO.
func (e *Endpoint) sayHello(ctx context.Context, conn transport.Conn, t Target, s *session) (*Link, error) {
	b, err := bindTo(conn, e.key.ID(), t.ID)
	if err != nil {
		return nil, err
	}
	try, name := t.try, ""
	if transport.MinorVersion(conn) < tryMinor {
		try = 0
	}
	if s == nil && transport.MinorVersion(conn) >= NameMinor {
		name = t.Name
	}
	d, err := handshake.NewDialer(b, t.Credential, t.Want, t.Kind, e.WindowBytes(), name, try)
	if err != nil {
		return nil, err
	}
	var id wire.TransferID // of a session that begins
	var early []byte
	begins := s == nil
	if begins {
		if id, s, err = newSession(b, t); err != nil {
			return nil, err
		}
		if t.First != nil && conn.Path().Kind != path.Relay {
			early = t.First(id)
		}
	}
	sent := time.Now()
	typ, body, err := exchangeHello(ctx, conn, d.Hello, early)
	rtt := time.Since(sent)
	if err != nil {
		if begins {
			e.unanswered.add(&t, begun{transfer: id, secret: s.secret})
		}
		return nil, err
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
	return &Link{
		Peer: t.ID, Transfer: ok.Transfer, Granted: granted, Kind: cmp.Or(t.Kind, wire.KindPipe),
		Minor: transport.MinorVersion(conn), Window: e.WindowBytes(), PeerWindow: ok.Window, Dialed: true, RTT: rtt,
		endpoint: e, conn: conn, session: s, flow: t.Credential.Method == wire.MethodFlow, try: t.try, closing: newTurn(),
	}, nil
}

// newSession returns the session that begins on a connection.
func newSession(b handshake.Binding, t Target) (id wire.TransferID, s *session, err error) {
	if id, err = b.Transfer(t.Credential.Secret); err != nil {
		return id, nil, err
	}
	secret, err := b.ResumeSecret(t.Credential.Secret)
	return id, newDialedSession(secret, t), err
}

// exchangeHello sends P2P_HELLO with early data and reads the answer. An answer that
// comes after ctx has ended is an error: the caller has told nobody of it.
func exchangeHello(ctx context.Context, conn transport.Conn, hello, early []byte) (wire.Type, []byte, error) {
	stop := transport.FailOnDone(ctx, conn)
	defer stop()
	header := wire.AppendHeader(nil, wire.Header{Type: wire.TypeHello, Bytes: len(hello)})
	if err := conn.Send(header, hello, early); err != nil {
		return 0, nil, notAnswered(transport.HandshakeError(ctx, err))
	}
	typ, body, err := wire.ReadFrame(conn, wire.TypeOK, wire.TypeDeny)
	if err != nil {
		return 0, nil, notAnswered(transport.HandshakeError(ctx, err))
	}
	if !stop() {
		return 0, nil, context.Cause(ctx)
	}
	return typ, body, nil
}

// notAnswered returns the error of a dial whose P2P_HELLO has no answer. The end of a
// connection that the peer has not signed, a TCP FIN or RST or a stateless reset of QUIC,
// says nothing about the peer, nor does silence: another dial may reach it.
func notAnswered(err error) error {
	if errors.Is(err, transport.ErrGone) || errors.Is(err, ErrBroken) {
		return transport.Break(proto.Errorf(proto.Unreachable, "no answer to P2P_HELLO: %w", err))
	}
	return err
}

// bindTo returns what ties a handshake to its connection.
func bindTo(conn transport.Conn, dialer, listener identity.ID) (handshake.Binding, error) {
	state := conn.TLS()
	x, err := state.ExportKeyingMaterial(proto.ExporterLabel, nil, proto.ExporterBytes)
	return handshake.Binding{Exporter: x, Dialer: dialer, Listener: listener}, err
}
