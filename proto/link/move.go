package link

import (
	"cmp"
	"context"
	"errors"
	"time"

	"mesh/proto"
	"mesh/proto/transport"
)

// dialed is the part of a session that its dialer alone has. The mutex of the session
// guards all but the first two fields.
type dialed struct {
	life    context.Context // ends with the session, and its cause is why
	endLife context.CancelCauseFunc

	tries     uint32      // P2P_HELLOs for a link that replaces another: see [wire.Hello.Try]
	promise   *promise    // of a move whose link no Resume has taken; else nil
	doubtful  *Link       // that a move may have replaced: its P2P_HELLO got no answer
	redialing bool        // a Resume dials
	moves     []time.Time // the last maxMoves ones
	fallen    int         // how many better links in a row broke soon; 0 after one that did not
}

// promise is the link that a move makes. It is there before P2P_HELLO is sent, because the
// listener closes the old link when it has read that: Resume waits for the new link instead
// of dialling one.
type promise struct {
	settled chan struct{} // closed when link is set
	link    *Link         // nil if the move has failed
}

var (
	// ErrMoved is why a link has ended whose transfer has moved to a better path. [ErrBroken]
	// is in its chain.
	ErrMoved = transport.Break(proto.Errorf(proto.Timeout, "the transfer goes on over a better path"))

	errNoMove = proto.Errorf(proto.Busy, "the link has ended, or is being replaced")
)

func newDialedSession(secret []byte, t Target) *session {
	s := &session{secret: secret, target: t}
	s.dialed.life, s.dialed.endLife = context.WithCancelCause(context.Background())
	return s
}

// nextTry returns the number of another P2P_HELLO.
func (s *session) nextTry() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialed.tries++
	return s.dialed.tries
}

// Moving reports whether the link was replaced while it worked, or is being replaced. Then
// its end is no outage: the link that Resume returns is there, or will be in a moment.
func (l *Link) Moving() bool {
	s := l.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.Dialed {
		return s.dialed.promise != nil || s.dialed.doubtful == l
	}
	return s.coming > 0 || len(s.successor) > 0
}

// move makes the transfer go on over a connection to the peer that is better than the
// link's. The link carries the transfer until the peer has taken the new one, and breaks
// then; it is as it was if the peer refuses that. move blocks for at most
// [proto.RedialTimeout]. It takes over the connection.
func (l *Link) move(conn transport.Conn) error {
	p, try := l.promiseMove()
	if p == nil {
		conn.Close(proto.OK.Wire(), "", errNoMove)
		return errNoMove
	}
	t := l.resumeTarget()
	t.try = try
	ctx, cancel := context.WithTimeoutCause(l.session.dialed.life, proto.RedialTimeout, transport.ErrNoAnswer)
	defer cancel()
	next, err := l.endpoint.openLink(ctx, conn, t, l.session)
	l.settleMove(p, next, err)
	if err == nil {
		l.Break(ErrMoved)
	}
	return err
}

// promiseMove returns nil if the link is not the one to replace, or broken.
func (l *Link) promiseMove() (*promise, uint32) {
	s := l.session
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &s.dialed
	if s.ended || d.redialing || d.promise != nil || l.Latest() != l || l.conn.Context().Err() != nil {
		return nil, 0
	}
	d.promise = &promise{settled: make(chan struct{})}
	d.tries++
	return d.promise, d.tries
}

// settleMove notes the outcome of a move.
func (l *Link) settleMove(p *promise, next *Link, err error) {
	s := l.session
	s.mu.Lock()
	d := &s.dialed
	ended := d.promise != p // see endMove
	switch {
	case ended:
	case next != nil:
		p.link = next
		d.moves = append(d.moves[max(len(d.moves)-maxMoves+1, 0):], time.Now())
	case errors.Is(err, transport.ErrNoAnswer) || errors.Is(err, ErrBroken):
		d.promise, d.doubtful = nil, l
	default:
		d.promise = nil
	}
	close(p.settled)
	s.mu.Unlock()
	if ended && next != nil {
		next.closeConn(context.Cause(d.life), proto.CodeOf(context.Cause(d.life)))
	}
}

// awaitMove waits for the outcome of a move that has begun, and returns its link. It returns
// nil without an error if there is none. Then no move begins before endRedial.
func (s *session) awaitMove(ctx context.Context) (*Link, error) {
	s.mu.Lock()
	p := s.dialed.promise
	s.dialed.redialing = p == nil
	s.mu.Unlock()
	if p == nil {
		return nil, nil
	}
	select {
	case <-p.settled:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialed.promise = nil
	s.dialed.redialing = p.link == nil
	return p.link, nil
}

func (s *session) endRedial() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialed.redialing = false
}

// endMove ends a move of a session that ends. The peer may have taken the new link already,
// and must learn there why the transfer has ended; nil if it is whole.
func (s *session) endMove(err error) {
	if s.dialed.endLife == nil { // the listener's end
		return
	}
	s.dialed.endLife(cmp.Or(err, error(errEnded)))
	s.mu.Lock()
	p := s.dialed.promise
	var next *Link
	if p != nil {
		next = p.link // nil before settleMove, which closes it
	}
	s.dialed.promise = nil
	s.mu.Unlock()
	if next != nil {
		next.closeConn(err, proto.CodeOf(err))
	}
}

// await notes that a link takes over soon: Moving is true from now on.
func (s *session) await() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.coming++
}

// miss notes that it does not.
func (s *session) miss() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.coming--
}
