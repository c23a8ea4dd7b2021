package link

import (
	"context"
	"errors"
	"time"

	"mesh/proto"
	"mesh/proto/path"
	"mesh/proto/token"
	"mesh/proto/transport"
	"mesh/proto/wire"
)

// Resume returns the link on which the transfer of a broken link goes on. The
// dialer's end dials until there is one; the listener's end waits for it. It blocks
// until then, or until ctx ends. An error with code [proto.Truncated] says that the
// peer has ended the transfer, or that its process is gone.
func (l *Link) Resume(ctx context.Context) (*Link, error) {
	if l.Dialed {
		return l.redial(ctx)
	}
	var gone <-chan time.Time
	if transport.HungUp(l.conn) {
		gone = time.After(transport.GoneAfter)
	}
	select {
	case next := <-l.session.successor:
		return next, nil
	case <-gone:
		return nil, transport.ErrGone
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// redial dials the peer until it answers or is known to be gone. The address of the
// broken link comes first.
func (l *Link) redial(ctx context.Context) (*Link, error) {
	t := l.session.target
	t.Addrs = append([]string{l.Addr().String()}, t.Addrs...)
	t.Candidates = nil // those that have arrived were read by the first dial
	t.Credential = token.Credential{Method: wire.MethodResume, Public: l.Transfer[:], Secret: l.session.secret}
	t.Want, t.Need = l.Granted, l.Granted
	t.resumeVia, t.AttemptTimeout = l.Via(), 0
	var refusedSince time.Time // zero if the last dial was not refused
	for attempt := 1; ; attempt++ {
		timeout := proto.RedialTimeout
		if attempt%3 == 0 {
			timeout = proto.DialTimeout // a path may be that slow
		}
		begun := time.Now()
		next, err := l.redialOnce(ctx, t, timeout)
		if err == nil {
			return next, nil
		}
		refused := errors.Is(err, path.ErrLeft)
		switch {
		case !refused:
			refusedSince = time.Time{}
		case refusedSince.IsZero():
			refusedSince = begun
		}
		switch code := proto.CodeOf(err); {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case refused && time.Since(refusedSince) >= transport.GoneAfter:
			return nil, transport.ErrGone
		case code == proto.Denied:
			return nil, proto.Errorf(proto.Truncated, "the peer has given the transfer up")
		case code != proto.Unreachable && code != proto.Busy && code != proto.Timeout:
			return nil, err
		}
		l.endpoint.log.Debug("peer does not answer yet", "err", err)
		select {
		case <-time.After(proto.RedialPause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (l *Link) redialOnce(ctx context.Context, t Target, timeout time.Duration) (*Link, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, transport.ErrNoAnswer)
	defer cancel()
	return l.endpoint.dialOnce(ctx, t, l.session)
}

// resumeSession makes a link the primary one of the session whose transfer it goes on
// with, in place of the last.
func (e *Endpoint) resumeSession(link *Link) {
	s := e.sessions.find(link.Transfer)
	if s == nil { // it has ended since P2P_HELLO was judged
		link.closeConn(errEnded, proto.CodeOf(errEnded))
		return
	}
	link.session = s
	s.listener.trackLink(link)
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		link.Close(errEnded)
		return
	}
	old := s.primary
	s.primary = link
	s.takeSuccessorLocked()
	s.successor <- link
	s.mu.Unlock()
	old.Break(proto.Errorf(proto.Timeout, "the peer has come back over another link"))
}

// takeSuccessorLocked returns the link that Resume has not taken, or nil.
func (s *session) takeSuccessorLocked() *Link {
	select {
	case next := <-s.successor:
		return next
	default:
		return nil
	}
}
