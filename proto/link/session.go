package link

import (
	"context"
	"errors"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/path"
	"mesh/proto/tcp"
	"mesh/proto/token"
	"mesh/proto/transport"
	"mesh/proto/wire"
)

// ErrBroken is in the chain of the error of a link that broke without either
// end wanting it to: what crossed it may go on over another, see [Link.Resume].
var ErrBroken = transport.ErrBroken

// session is what outlives a link: a transfer between two nodes. It ends when
// one of its links is closed.
type session struct {
	secret []byte // of method resume

	endpoint *Endpoint

	// The dialer's.
	target Target

	// The listener's.
	listener  *Listener
	transfer  wire.TransferID
	peer      identity.ID
	granted   proto.Caps
	token     *token.ID
	successor chan *Link // sent by resumed, one at a time; never closed
	flows     chan *Link // sent by join; never closed

	mu      sync.Mutex
	current *Link
	joined  int  // flows that live
	striped bool // there is a flow, or there was one
	ended   bool
}

// end ends the session; the first time it does, it gives back what it held.
func (s *session) end() {
	s.mu.Lock()
	ended := s.ended
	s.ended = true
	next := s.takeSuccessor()
	s.dropFlows()
	s.mu.Unlock()
	if next != nil {
		next.shut(errEnded, proto.CodeOf(errEnded).Wire(), "")
	}
	if !ended && s.listener != nil {
		s.listener.forget(s)
	}
}

// Resume returns the link on which the transfer of a broken one goes on: the
// dialer's end dials until it is there, the listener's waits for that. It blocks
// until then, or until ctx ends. An error with code [proto.Truncated] says that
// the peer is there but not the transfer, or that its process is gone.
func (l *Link) Resume(ctx context.Context) (*Link, error) {
	s := l.session
	if s.listener == nil {
		return s.redial(ctx, l)
	}
	var gone <-chan time.Time
	if errors.Is(context.Cause(l.conn.Context()), tcp.ErrHungUp) {
		gone = time.After(transport.GoneAfter)
	}
	select {
	case next := <-s.successor:
		return next, nil
	case <-gone:
		return nil, transport.ErrGone
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (s *session) redial(ctx context.Context, old *Link) (*Link, error) {
	t := s.target
	t.Addrs = append([]string{old.Addr().String()}, t.Addrs...)
	t.Credential = token.Credential{Method: wire.MethodResume, Public: old.Transfer[:], Secret: s.secret}
	t.Want, t.Need = old.Granted, old.Granted
	t.was, t.Try = old.Via(), 0
	var refused time.Time // since when
	for try := 1; ; try++ {
		timeout := proto.RedialTimeout
		if try%3 == 0 {
			timeout = proto.DialTimeout // a path may be that slow
		}
		begun := time.Now()
		next, err := s.redialOnce(ctx, t, timeout)
		if err == nil {
			return next, nil
		}
		left := errors.Is(err, path.ErrLeft)
		if !left {
			refused = time.Time{}
		}
		switch code := proto.CodeOf(err); {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case left:
			if refused.IsZero() {
				refused = begun
			}
			if time.Since(refused) >= transport.GoneAfter {
				return nil, transport.ErrGone
			}
		case code == proto.Denied:
			return nil, proto.Errorf(proto.Truncated, "the peer has given the transfer up")
		case code != proto.Unreachable && code != proto.Busy && code != proto.Timeout:
			return nil, err
		}
		s.endpoint.log.Debug("peer is not there again yet", "err", err)
		select {
		case <-time.After(proto.RedialPause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (s *session) redialOnce(ctx context.Context, t Target, timeout time.Duration) (*Link, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, transport.ErrNoAnswer)
	defer cancel()
	return s.endpoint.dial(ctx, t, s)
}

// begin makes the session of a listener's link.
func (l *Listener) begin(link *Link, secret []byte) {
	link.session = &session{
		secret: secret, endpoint: l.endpoint, listener: l, transfer: link.Transfer, peer: link.Peer, granted: link.Granted, token: link.Token,
		successor: make(chan *Link, 1), flows: make(chan *Link, proto.MaxFlows-1), current: link,
	}
	l.mu.Lock()
	l.sessions[link.Transfer] = link.session
	l.mu.Unlock()
	l.keep(link)
}

// forget takes an ended session off the list and gives back its place.
func (l *Listener) forget(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sessions, s.transfer)
	l.releaseLocked(s.peer)
}

// find is the [handshake.Listener.Resume]: only the node that began a transfer
// may go on with it, and not when what let it in was revoked since.
func (l *Listener) find(transfer []byte, dialer identity.ID) (token.Admission, error) {
	if len(transfer) == len(wire.TransferID{}) {
		s := l.session(wire.TransferID(transfer))
		if s != nil && s.peer == dialer && !l.judge.Guard.AccessRevoked(dialer, s.token, s.granted) {
			return token.Admission{Secret: s.secret, Caps: s.granted, Token: s.token}, nil
		}
	}
	return token.Admission{}, proto.Errorf(proto.Denied, "no such transfer of this node")
}

// resumed hands a link to the session whose transfer it goes on with, in place
// of the one before.
func (l *Listener) resumed(link *Link) {
	s := l.session(link.Transfer)
	if s == nil { // it has ended since the proof
		link.shut(errEnded, proto.CodeOf(errEnded).Wire(), "")
		return
	}
	link.session = s
	l.keep(link)
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		link.Close(errEnded)
		return
	}
	old := s.current
	s.current = link
	s.takeSuccessor()
	s.successor <- link
	s.mu.Unlock()
	old.Break(proto.Errorf(proto.Timeout, "the peer has come back over another link"))
}

// takeSuccessor returns the link that Resume has not taken, or nil. It is called
// with s.mu held, as all sends are.
func (s *session) takeSuccessor() *Link {
	select {
	case next := <-s.successor:
		return next
	default:
		return nil
	}
}

var errEnded = proto.Errorf(proto.Truncated, "the transfer has ended")
