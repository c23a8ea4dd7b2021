package link

import (
	"context"
	"time"

	"mesh/proto"
	"mesh/proto/path"
	"mesh/proto/transport"
)

// A link gets no better path within movePause of the last move of its transfer, and no more
// than maxMoves times in movePeriod.
const (
	movePause  = 5 * time.Second
	maxMoves   = 20
	movePeriod = time.Hour
)

// steadyFor is how long a better link must last, or its end counts as one of several falls
// in a row: a path may carry a handshake and then no more.
const steadyFor = 8 * time.Second

// improveEvery is the time between two attempts to find a better path when those of
// improveAt or fallenAt are over.
const improveEvery = 5 * time.Minute

// improveAt is when better paths are tried, counted from the start of a link, and fallenAt
// the same for a link that has replaced a broken one of a better path. After several falls in
// a row the first ones of fallenAt are left out.
var (
	improveAt = []time.Duration{0, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute}
	fallenAt  = []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, time.Minute}
)

// Improve looks for a better path, and moves the transfer there when it has one. It blocks
// until then, or until ctx ends; when P2P_HELLO is out, until that is answered, for at most
// [proto.RedialTimeout]. The link then breaks, and [Link.Resume] returns the next one: see
// [Link.Moving].
//
// A better path is one of a better kind that [Target.Via] allows: see [path.Kind.Better]. It
// leads to an address of the target, or to what [Meeting.Better] brings. Only the dialer's end
// moves, and only if the listener speaks minor version 2. After a change of this machine's
// network Improve looks at once, and then as at the start of a link.
func (l *Link) Improve(ctx context.Context) {
	direct, _ := l.session.target.Via.Reaches()
	if !l.Dialed || l.Minor < tryMinor || !direct {
		return
	}
	schedule, first := l.session.schedule(), path.Relay // the dial that made the link has tried better ones too
	for {
		changed := l.endpoint.NextChange()
		round, stop := context.WithCancel(ctx)
		go func() {
			defer stop()
			select {
			case <-changed:
			case <-round.Done():
			}
		}()
		moved := l.improveBy(round, schedule, first)
		stop()
		if moved || ctx.Err() != nil {
			return
		}
		schedule, first = improveAt, ""
	}
}

// improveBy looks for better paths at the times of a schedule, until the transfer has moved
// or ctx ends. At the start it does so if the path is of kind first, or with "" in any case.
// It reports whether the transfer has moved.
func (l *Link) improveBy(ctx context.Context, s schedule, first path.Kind) bool {
	begun := time.Now()
	for n := 0; l.sleepUntil(ctx, begun.Add(s.at(n))); n++ {
		kind, until := l.Path().Kind, begun.Add(s.at(n+1))
		switch {
		case kind == path.LAN, !time.Now().Before(until):
			continue
		case s.at(n) == 0 && first != "" && kind != first:
			continue
		}
		if l.improveOnce(ctx, kind, until) {
			return true
		}
	}
	return false
}

// improveOnce dials paths that are better than one of the given kind until there is one or
// the time is over. It reports whether the transfer has moved.
func (l *Link) improveOnce(ctx context.Context, kind path.Kind, until time.Time) bool {
	ctx, cancel := context.WithDeadlineCause(ctx, until, transport.ErrNoAnswer)
	defer cancel()
	t := l.session.target
	to := path.Target{ID: t.ID, Addrs: t.Addrs, Prefer: t.Prefer, Via: t.Via, Above: kind}
	if t.Meeting != nil {
		to.Candidates, to.Routes = t.Meeting.Better(ctx, kind)
	}
	e := l.endpoint
	conn, err := path.Dial(ctx, e.Endpoint, to)
	switch {
	case err != nil:
		e.log.Debug("no better path", "err", err)
		return false
	case ctx.Err() != nil, !path.Of(e.Endpoint, conn).Kind.Better(l.Path().Kind):
		conn.Close(proto.OK.Wire(), "", errNoMove)
		return false
	}
	if err := l.move(conn); err != nil {
		e.log.Info("link not moved to a better path", "path", path.Of(e.Endpoint, conn), "err", err)
		return false
	}
	return true
}

// sleepUntil blocks until a time, or longer if a move must wait. It reports false when ctx
// has ended.
func (l *Link) sleepUntil(ctx context.Context, at time.Time) bool {
	if may := l.session.mayMoveAt(); may.After(at) {
		at = may
	}
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// schedule is when to look for a better path, as times since the start of a link.
type schedule []time.Duration

// at returns the time of attempt n.
func (s schedule) at(n int) time.Duration {
	if n < len(s) {
		return s[n]
	}
	return s[len(s)-1] + time.Duration(n-len(s)+1)*improveEvery
}

// schedule returns the schedule of the link that the session has now.
func (s *session) schedule() schedule {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dialed.fallen == 0 {
		return improveAt
	}
	return fallenAt[min(s.dialed.fallen, len(fallenAt))-1:]
}

// mayMoveAt returns from when on the session may move.
func (s *session) mayMoveAt() (at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	moves := s.dialed.moves
	if n := len(moves); n > 0 {
		at = moves[n-1].Add(movePause)
	}
	if len(moves) == maxMoves {
		if free := moves[0].Add(movePeriod); free.After(at) {
			at = free
		}
	}
	return at
}

// noteFall notes that the transfer of a link goes on over the next one. It may be a fall: to
// a worse path, after a break. If the link broke because this machine's network has changed,
// its path has not failed, and better ones are looked for at once.
func (s *session) noteFall(l, next *Link) {
	if !l.Dialed {
		return
	}
	fell := l.Path().Kind.Better(next.Path().Kind)
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &s.dialed
	switch {
	case !fell:
	case l.elsewhere.Load():
		d.fallen = 0
	case len(d.moves) > 0 && time.Since(d.moves[len(d.moves)-1]) < steadyFor:
		d.fallen++
	default:
		d.fallen = 1
	}
}
