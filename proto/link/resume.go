package link

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"mesh/proto"
	"mesh/proto/path"
	"mesh/proto/relay"
	"mesh/proto/transport"
	"mesh/proto/wire"
)

// Resume returns the link on which the transfer of a broken link goes on. The
// dialer's end dials until there is one; the listener's end waits for it. It blocks
// until then, or until ctx ends. An error with code [proto.Truncated] says that the
// peer has ended the transfer, or that its process is gone.
//
// Only the peer's key proves an answer to be the peer's. Whatever else answers at its
// addresses is tried again until ctx ends. The exceptions are a refusal by the peer's own
// host that lasts, see [transport.GoneAfter], and the word of a relay that the peer's
// process has left, see [transport.LeftAfter].
func (l *Link) Resume(ctx context.Context) (*Link, error) {
	next, err := l.next(ctx)
	if err == nil {
		l.session.noteFall(l, next)
		l.session.latest.Store(next)
	}
	return next, err
}

func (l *Link) next(ctx context.Context) (*Link, error) {
	ctx, stop := l.believeLeft(ctx)
	defer stop()
	if l.Dialed {
		if next, err := l.session.awaitMove(ctx); next != nil || err != nil {
			return next, err
		}
		defer l.session.endRedial()
		return l.redial(ctx)
	}
	var gone <-chan time.Time
	if l.hungUp() && path.OnLink(l.endpoint.Endpoint, l.conn) {
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

// believeLeft returns a context that ends with [transport.ErrGone] when the relay of a
// broken link has said for long enough that the peer has left.
func (l *Link) believeLeft(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := func() { cancel(nil) }
	if l.conn.Path().Kind == path.Relay {
		go l.watchLeft(ctx, cancel)
	}
	return ctx, stop
}

// watchLeft counts from when the link broke: before, the relay may have said it of
// another connection of the peer.
func (l *Link) watchLeft(ctx context.Context, cancel context.CancelCauseFunc) {
	broke := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		since := l.conn.LeftSince()
		if since.Before(broke) && !since.IsZero() {
			since = broke
		}
		if !since.IsZero() && time.Since(since) >= transport.LeftAfter {
			cancel(transport.ErrGone)
			return
		}
	}
}

// hungUp reports whether the link was broken by a message of the peer's host that the
// peer's process is gone.
func (l *Link) hungUp() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return transport.HungUp(l.conn) || errors.Is(l.cause, transport.ErrGone)
}

// redial dials the peer until it answers or is known to be gone. The address of the
// broken link comes first.
func (l *Link) redial(ctx context.Context) (*Link, error) {
	t := l.resumeTarget()
	if addr, ok := l.addrPort(); ok {
		t.Addrs = append([]string{addr.String()}, t.Addrs...)
		t.broken = path.Broken{Via: l.Via(), Addr: netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())}
	}
	var refused refusals
	var seen error // of the last attempt that was not cut short
	for attempt := 1; ; attempt++ {
		timeout := proto.RedialTimeout
		if attempt%3 == 0 && refused.since.IsZero() {
			timeout = proto.DialTimeout // a path may be that slow
		}
		begun := time.Now()
		next, err := l.redialOnce(ctx, t, timeout)
		if err == nil {
			return next, nil
		}
		if ctx.Err() != nil {
			return nil, notResumed(ctx, seen)
		}
		if t.refuse(err) { // the peer is there: another path at once
			seen = err
			continue
		}
		if seen == nil || t.refused == nil {
			seen = err
		}
		t.refused = nil // the paths that are left lead nowhere
		if refused.last(begun, errors.Is(err, path.ErrLeft)) && path.OnLink(l.endpoint.Endpoint, l.conn) {
			return nil, transport.ErrGone
		}
		if err := endsResume(err); err != nil {
			return nil, err
		}
		l.endpoint.log.Debug("peer does not answer yet", "err", err)
		select {
		case <-time.After(proto.RedialPause):
		case <-ctx.Done():
			return nil, notResumed(ctx, seen)
		}
	}
}

// refuse notes the path that the peer has refused, if err says so and it is another one than
// before.
func (t *Target) refuse(err error) bool {
	r, ok := errors.AsType[*refusedPath](err)
	if !ok || len(t.refused) == maxRefused {
		return false
	}
	t.refused = append(slices.Clip(t.refused), r.Path)
	return true
}

// maxRefused bounds the refused paths of a redial: two transports, over a relay, a tunnel, a
// direct path and one within a network.
const maxRefused = 8

// resumeTarget returns the target of a link on which the transfer goes on.
func (l *Link) resumeTarget() Target {
	t := l.session.target
	t.Candidates, t.Routes = nil, nil // those that have arrived were read by the first dial
	t.Credential = l.Credential()
	t.Want, t.Need = l.Granted, l.Granted
	t.redials, t.AttemptTimeout = true, 0
	return t
}

// endsResume returns the error with which a failed attempt ends a redial, nil if
// another attempt may succeed.
func endsResume(err error) error {
	if errors.Is(err, path.ErrNotReached) || errors.Is(err, ErrBroken) {
		return nil
	}
	switch proto.CodeOf(err) {
	case proto.Unreachable, proto.Busy, proto.Timeout:
		return nil
	case proto.Denied:
		return proto.Errorf(proto.Truncated, "the peer has given the transfer up")
	}
	return err
}

// notResumed returns why a redial has ended with ctx. When the time is over, that
// includes what the last attempt met, which may be nil. Its code is [proto.Busy] if a relay
// has refused that for want of a place or of bytes.
func notResumed(ctx context.Context, seen error) error {
	cause := context.Cause(ctx)
	if seen == nil || proto.CodeOf(cause) != proto.Timeout {
		return cause
	}
	err := fmt.Errorf("%w; last attempt: %w", cause, seen)
	if r, ok := errors.AsType[*relay.Refused](seen); ok && r.Code == proto.Busy {
		return &proto.Error{Code: proto.Busy, Err: err}
	}
	return err
}

// refusals is since when each attempt was refused. The zero value has none.
type refusals struct{ since time.Time }

// last notes an attempt, and reports whether the refusals have lasted for
// [transport.GoneAfter].
func (r *refusals) last(begun time.Time, refused bool) bool {
	switch {
	case !refused:
		r.since = time.Time{}
	case r.since.IsZero():
		r.since = begun
	}
	return refused && time.Since(r.since) >= transport.GoneAfter
}

func (l *Link) redialOnce(ctx context.Context, t Target, timeout time.Duration) (*Link, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, transport.ErrNoAnswer)
	defer cancel()
	if t.Meeting != nil {
		t.Candidates, t.Routes = t.Meeting.Routes(ctx)
	}
	t.try = l.session.nextTry()
	return l.endpoint.dialOnce(ctx, t, l.session)
}

// resumeSession makes a link the primary one of the session whose transfer it goes on
// with, in place of the last, unless that is of a later try.
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
	s.coming--
	old := s.primary
	if link.try < old.try {
		s.mu.Unlock()
		link.Break(errOvertaken)
		return
	}
	s.primary = link
	s.takeSuccessorLocked()
	s.successor <- link
	s.mu.Unlock()
	old.Break(proto.Errorf(proto.Timeout, "the peer has come back over another link"))
}

var errOvertaken = proto.Errorf(proto.Timeout, "the peer has come back over a later link")

// isLate is the [handshake.Listener.Late].
func (e *Endpoint) isLate(transfer []byte, try uint32) bool {
	s := e.sessions.find(wire.TransferID(transfer))
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return try < s.primary.try
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
