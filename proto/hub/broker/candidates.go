package broker

import (
	"time"

	"mesh/proto/hub"
)

// party returns the accepted session that an event names, which end the client is, and
// the other end.
func (b *Broker) party(c *client, id hub.ID) (s *session, at int, other party, err error) {
	s = b.sessions[id]
	switch {
	case s != nil && s.dialer == c.party && s.accepted:
		return s, 0, s.listener, nil
	case s != nil && s.accepted && s.listener == c.party:
		return s, 1, s.dialer, nil
	}
	return nil, 0, other, refuse(hub.CodeNotFound, "no such session")
}

// candidates passes an end's candidates on: one generation a second, the newest.
func (b *Broker) candidates(c *client, e hub.Event, now time.Time) error {
	g := new(hub.Candidates)
	if err := read(e, g); err != nil {
		return err
	}
	s, at, other, err := b.party(c, g.Session)
	if err != nil {
		return err
	}
	to := b.clients[other]
	if to == nil || to.out == nil {
		return refuse(hub.CodeOffline, "the other end is not connected now")
	}
	s.ends[at].newest, s.ends[at].passed = g, false
	if !s.ends[at].waiting {
		b.passOn(s, at, c.party, other, now)
	}
	return nil
}

// passOn sends the newest candidates of an end, as soon as its rate allows.
func (b *Broker) passOn(s *session, at int, from, to party, now time.Time) {
	end := &s.ends[at]
	end.waiting = false
	if b.sessions[s.request.Session] != s || end.newest == nil || end.passed || b.clients[to] == nil {
		return
	}
	wait := candidatesEvery - now.Sub(end.last)
	if wait <= 0 && !end.rate.take(now, candidateRate) {
		wait = end.rate.wait(candidateRate)
	}
	if wait > 0 {
		end.waiting = true
		b.timers.at(now.Add(wait), func(now time.Time) { b.passOn(s, at, from, to, now) })
		return
	}
	b.send(b.clients[to], hub.TypeCandidates, b.clients[from], end.newest)
	end.passed, end.last = true, now
}

// passAgain passes the newest candidates of the other ends on to a client that has logged in
// again: they may have been lost with its last connection.
func (b *Broker) passAgain(c *client, now time.Time) {
	for s := range b.sessionsOf[c.party] {
		from, at := s.dialer, 0
		switch {
		case !s.accepted:
			continue
		case s.dialer == c.party:
			from, at = s.listener, 1
		}
		if end := &s.ends[at]; !end.waiting {
			end.passed = false
			b.passOn(s, at, from, c.party, now)
		}
	}
}

// closed ends a session, and tells the other end, after the candidates that wait for their
// time.
func (b *Broker) closed(c *client, e hub.Event) error {
	var d hub.Closed
	if err := read(e, &d); err != nil {
		return err
	}
	s, at, other, err := b.party(c, d.Session)
	if err != nil {
		return err
	}
	if end := &s.ends[at]; end.waiting && end.newest != nil && !end.passed {
		b.send(b.clients[other], hub.TypeCandidates, c, end.newest) // the last word of a pairing
	}
	if d.Path != "" {
		b.count(CountPaths, wordOf(pathKinds, d.Path))
	}
	b.send(b.clients[other], hub.TypeClosed, c, &d)
	b.end(s)
	return nil
}
