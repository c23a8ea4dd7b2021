package agent

import (
	"context"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
)

// Pairing is a session of kind [hub.KindPair], by which two nodes agree without a link.
// What they tell each other is sealed: the hub can hold it back, but not forge it. It is
// for one goroutine.
type Pairing struct {
	a      *Agent
	s      Session
	role   string
	events <-chan hub.Event
	conn   *Conn           // told has gone over this connection
	told   *hub.Candidates // the newest; nil before the first
	heard  uint64          // the newest generation of the other end
	theirs hub.Meeting     // what that said
}

// Pair goes on with a session of kind [hub.KindPair], once. Call [Pairing.Close] in the end.
func (a *Agent) Pair(s Session) *Pairing {
	return &Pairing{a: a, s: s, role: s.role, events: s.events}
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
		if p.conn, err = p.a.ready(ctx, true); err != nil {
			return err
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

// gone returns why the hub does not know the session any more. What the other end has said
// came before the hub's answer.
func (p *Pairing) gone() error {
	for len(p.events) > 0 {
		if err := p.event(<-p.events); err != nil {
			return err
		}
	}
	return proto.Errorf(proto.Unreachable, "the other side is gone, or the hub was restarted")
}

// Hear blocks until the other end has told the generation or a later one, and returns what
// that says. If the other end has closed the session, the error has the code
// [proto.Declined], or [proto.Unreachable] if that end keeps this one and only its last word
// is missing.
func (p *Pairing) Hear(ctx context.Context, gen uint64) (hub.Meeting, error) {
	probe := time.NewTicker(probeEvery)
	defer probe.Stop()
	for p.heard < gen {
		var lost <-chan struct{}
		if p.conn != nil {
			lost = p.conn.done
		}
		select {
		case e := <-p.events:
			if err := p.event(e); err != nil {
				return hub.Meeting{}, err
			}
		case <-lost:
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

// Closed blocks until the other end has closed the session, or ctx ends.
func (p *Pairing) Closed(ctx context.Context) {
	for {
		select {
		case e := <-p.events:
			if e.Type == hub.TypeClosed {
				return
			}
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
