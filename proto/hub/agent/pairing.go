package agent

import (
	"context"
	"errors"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
)

// Pairing is a session of kind [hub.KindPair], by which two nodes agree without a link.
// What they tell each other is sealed: the hub can hold it back, but not forge it. A hub that
// is restarted gets to know the session again. A Pairing is for one goroutine.
type Pairing struct {
	a      *Agent
	s      Session
	role   string
	events <-chan hub.Event
	conn   *Conn           // at whose hub the session is known
	told   *hub.Candidates // the newest; nil before the first
	heard  uint64          // the newest generation of the other end
	theirs hub.Meeting     // what that said
}

// Pair goes on with a session of kind [hub.KindPair], once. Call [Pairing.Close] in the end.
func (a *Agent) Pair(s Session) *Pairing {
	return &Pairing{a: a, s: s, role: s.role, events: s.events, conn: s.conn}
}

const (
	// tellAgain is the pause before an event is sent again that the hub could not pass on.
	tellAgain = 500 * time.Millisecond
	// probeEvery is how often an end that waits sends its last event again, to find out
	// whether the other end is still there.
	probeEvery = 4 * time.Second
)

// Tell sends a generation, which is above the one before, to the other end. It blocks until
// the hub has taken it.
func (p *Pairing) Tell(ctx context.Context, gen uint64, m hub.Meeting) error {
	told, err := p.s.Keys.SealMeeting(p.role, gen, m)
	if err != nil {
		return err
	}
	p.told = told
	return p.tell(ctx)
}

// tell sends what was told last until the hub takes it. While the other end is on its way
// back to the hub, it is sent again.
func (p *Pairing) tell(ctx context.Context) (err error) {
	for end := time.Now().Add(comeBack); ; {
		if err = p.meet(ctx); err != nil {
			return err
		}
		if p.told == nil {
			return nil
		}
		if _, err = p.conn.Call(ctx, hub.TypeCandidates, p.told); err == nil || ctx.Err() != nil {
			return err
		}
		if _, refused := asHubError(err); !refused {
			p.a.left(ctx, p.conn)
		} else if CodeOf(err) == hub.CodeNotFound {
			return p.gone()
		}
		if time.Now().After(end) {
			return proto.Errorf(proto.Unreachable, "the other side is gone: %w", err)
		}
		select {
		case <-time.After(tellAgain):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// meet blocks until the hub of the present connection knows the session: one that was
// restarted is told of it by both ends.
func (p *Pairing) meet(ctx context.Context) error {
	for {
		c, err := p.a.ready(ctx, true)
		if err != nil || c == p.conn {
			return err
		}
		if err = p.meetAt(ctx, c); err == nil {
			p.conn = c
			return nil
		}
		if !errors.Is(err, errLost) {
			return err
		}
		p.a.left(ctx, c)
	}
}

// meetAt is meet at one connection, whose end is [errLost]. It fails if the other end has not
// come back after [remakeFor].
func (p *Pairing) meetAt(ctx context.Context, c *Conn) error {
	if err := p.hearAll(); err != nil {
		return err
	}
	limit, every := time.After(remakeFor), time.NewTicker(remakeEvery)
	defer every.Stop()
	for {
		err := p.s.remake(ctx, c)
		_, refused := asHubError(err)
		switch {
		case err == nil && p.role == hub.RoleListener:
			return nil
		case err == nil, errors.Is(err, errClaimed), CodeOf(err) == hub.CodeNotFound: // the other end is to say something
		case refused || ctx.Err() != nil:
			return err
		}
		for again := false; !again; {
			select {
			case e := <-p.events:
				switch e.Type {
				case hub.TypeCodeDone:
					return nil
				case hub.TypeCodeConfirm, hub.TypeCodeFreed:
					again = true
				default:
					if err := p.event(e); err != nil {
						return err
					}
				}
			case <-every.C:
				again = true
			case <-c.done:
				return errLost
			case <-limit:
				return proto.Errorf(proto.Unreachable, "the hub was restarted, and the other side has not come back to it")
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
}

// gone returns why the hub does not know the session any more. What the other end has said
// came before the hub's answer.
func (p *Pairing) gone() error {
	if err := p.hearAll(); err != nil {
		return err
	}
	return proto.Errorf(proto.Unreachable, "the other side is gone")
}

// hearAll handles the events that have arrived, and does not wait for more.
func (p *Pairing) hearAll() error {
	for len(p.events) > 0 {
		if err := p.event(<-p.events); err != nil {
			return err
		}
	}
	return nil
}

// Hear blocks until the other end has told the generation or a later one, and returns what
// that says. If the other end has closed the session, the error has the code
// [proto.Declined], or [proto.Unreachable] if that end keeps this one and only its last word
// is missing.
func (p *Pairing) Hear(ctx context.Context, gen uint64) (hub.Meeting, error) {
	probe := time.NewTicker(probeEvery)
	defer probe.Stop()
	for p.heard < gen {
		select {
		case e := <-p.events:
			if err := p.event(e); err != nil {
				return hub.Meeting{}, err
			}
		case <-p.conn.done:
			p.a.left(ctx, p.conn)
			if err := p.tell(ctx); err != nil { // the hub may not have passed it on
				return hub.Meeting{}, err
			}
		case <-probe.C:
			if err := p.probe(ctx); err != nil {
				return hub.Meeting{}, err
			}
		case <-ctx.Done():
			return hub.Meeting{}, context.Cause(ctx)
		}
	}
	return p.theirs, nil
}

// probe tells again what the other end has, if anything was told: the hub says if that end
// is gone.
func (p *Pairing) probe(ctx context.Context) error {
	if p.told == nil || len(p.events) > 0 {
		return nil
	}
	return p.tell(ctx)
}

// Watch blocks until the other end has closed the session, which is an error as that of
// [Pairing.Hear], or until ctx ends.
func (p *Pairing) Watch(ctx context.Context) error {
	for {
		select {
		case e := <-p.events:
			if err := p.event(e); err != nil {
				return err
			}
		case <-p.conn.done:
			p.a.left(ctx, p.conn)
			if err := p.meet(ctx); err != nil && ctx.Err() == nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// event takes in what the hub has passed on.
func (p *Pairing) event(e hub.Event) error {
	if e.Type == hub.TypeClosed {
		var closed hub.Closed
		if e.Read(&closed) == nil && closed.Reason == hub.ReasonPaired {
			return proto.Errorf(proto.Unreachable, "the other side has ended; by the word of the hub it keeps this node")
		}
		return proto.Errorf(proto.Declined, "the other side has said no, or has ended")
	}
	var c hub.Candidates
	if e.Type != hub.TypeCandidates || e.Read(&c) != nil || c.Gen <= p.heard {
		return nil
	}
	other := hub.RoleDialer
	if p.role == hub.RoleDialer {
		other = hub.RoleListener
	}
	m, err := p.s.Keys.OpenMeeting(other, &c)
	if err == nil {
		p.heard, p.theirs = c.Gen, m
	}
	return err
}

// Closed blocks until the other end has closed the session, at most for the time. If the
// connection to the hub ends meanwhile, it repeats the last message, which the other end may
// not have received.
func (p *Pairing) Closed(ctx context.Context, within time.Duration) {
	for limit := time.After(within); ; {
		select {
		case e := <-p.events:
			if e.Type == hub.TypeClosed {
				return
			}
		case <-p.conn.done:
			p.a.left(ctx, p.conn)
			ctx, cancel := context.WithTimeout(ctx, remakeFor)
			err := p.tell(ctx)
			cancel()
			if err != nil { // that end is gone
				return
			}
			limit = time.After(within)
		case <-limit:
			return
		case <-ctx.Done():
			return
		}
	}
}

// Close ends the session at the hub, which tells the other end.
func (p *Pairing) Close(ctx context.Context, reason string) {
	p.a.Closed(context.WithoutCancel(ctx), p.s, reason, "")
	p.a.dropBox(p.s.ID)
}
