package broker

import (
	"slices"
	"time"

	"mesh/proto/hub"
	"mesh/proto/identity"
)

// session is a request and what came of it. It is kept until its life is over, so that a
// repeat of the request is known.
type session struct {
	request  hub.Request
	dialer   party
	node     identity.ID // the listener's
	asked    []party     // may answer: one instance, with a bearer several
	listener party       // has accepted
	accepted bool
	waits    bool // in the listener's queue
	pending  bool // the extra time was given
	began    time.Time
	deadline time.Time
	ends     [2]end
	relay    Relay // nil without one
	// confirm and done are those of the code that the session came of.
	confirm *hub.CodeConfirm
	done    *hub.CodeDone
}

// end is the state of the candidates of one end, the dialer's first.
type end struct {
	rate    bucket
	last    time.Time
	newest  *hub.Candidates
	passed  bool // the newest was passed on
	waiting bool
}

// request takes a request for a session, and offers it to the listener. The dialer is who its
// login has proved. The listener checks the signature, since it must not believe the hub: here
// a check would protect nobody, and cost more than the rest.
func (b *Broker) request(c *client, e hub.Event, now time.Time) error {
	r := new(hub.Request)
	if err := read(e, r); err != nil {
		return err
	}
	if s := b.sessions[r.Session]; s != nil {
		if s.dialer != c.party || string(s.request.Sig) != string(r.Sig) {
			return refuse(hub.CodeBadEvent, "the session's id is in use")
		}
		s.request = *r
		b.repeat(s)
		return nil
	}
	if !b.requests.take(now, c.node) {
		return refuse(hub.CodeRateLimited, "more than 5 requests a second")
	}
	if b.draining {
		return refuse(hub.CodeDraining, "the hub is about to restart")
	}
	f, err := b.find(c.node, r.To, now)
	if err != nil {
		return err
	}
	asked := b.askedBy(f, r, c)
	if len(asked) == 0 {
		return refuse(hub.CodeOffline, "the peer is not connected, or does not take this kind")
	}
	if b.dialing[c.node] >= MaxDialing || b.serving[f.node] >= MaxListening || len(b.sessions) >= MaxSessions {
		return refuse(hub.CodeLimit, "too many open sessions")
	}
	s := &session{request: *r, dialer: c.party, node: f.node, asked: asked, began: now}
	b.open(s, now)
	return nil
}

// askedBy returns the connections to ask: the newest connection with the kind; with a bearer each
// connection of the node, since only one of them knows the token or the transfer.
func (b *Broker) askedBy(f found, r *hub.Request, dialer *client) []party {
	if r.Bearer == nil {
		if at := b.newest(f, r.Kind); at != nil && at != dialer {
			return []party{at.party}
		}
		return nil
	}
	var all []party
	for _, c := range slices.Backward(b.nodes[f.node]) {
		if c != dialer {
			all = append(all, c.party)
		}
	}
	return all
}

func (b *Broker) open(s *session, now time.Time) {
	b.sessions[s.request.Session] = s
	s.relay = b.relay(s, now)
	b.addParty(s, s.dialer)
	for _, p := range s.asked {
		b.addParty(s, p)
	}
	b.dialing[s.dialer.node]++
	b.serving[s.node]++
	answer := hub.AnswerTimeout
	if s.request.AnswerS > 0 {
		answer = time.Duration(s.request.AnswerS) * time.Second
	}
	b.until(s, now.Add(answer))
	b.enqueue(s, now)
}

// until sets the time at which the session ends: without an answer, or for good. The timer
// has the session's id alone: a session that has ended before needs no memory until then.
func (b *Broker) until(s *session, deadline time.Time) {
	s.deadline = deadline
	id := s.request.Session
	b.timers.at(deadline, func(now time.Time) {
		s := b.sessions[id]
		if s == nil || now.Before(s.deadline) {
			return
		}
		if !s.accepted {
			b.tellAsked(s, hub.TypeCancelled)
			b.endDeclined(s, hub.CodeTimeout)
			return
		}
		b.end(s)
	})
}

func (b *Broker) offer(s *session) {
	dialer := b.clients[s.dialer]
	if dialer == nil {
		return // its offer is repeated with its request
	}
	for _, p := range s.asked {
		c := b.clients[p]
		b.send(c, hub.TypeOffer, dialer, &hub.Offer{Request: s.request, Relay: doors(s, hub.RoleListener, c)})
	}
}

// repeat offers a request again, to the connections that were asked before.
func (b *Broker) repeat(s *session) {
	if s.accepted && b.clients[s.listener] == nil {
		b.endDeclined(s, hub.CodeOffline)
		return
	}
	if !s.waits {
		b.offer(s)
	}
}

// tellAsked tells the listeners that were asked that the dialer no longer waits.
func (b *Broker) tellAsked(s *session, typ string) {
	if s.waits {
		return
	}
	for _, p := range s.asked {
		b.send(b.clients[p], typ, nil, &hub.SessionRef{Session: s.request.Session})
	}
}

// endDeclined ends a session without an accept.
func (b *Broker) endDeclined(s *session, code string) {
	b.count(CountSessions, code)
	b.end(s)
	b.send(b.clients[s.dialer], hub.TypeDeclined, nil, &hub.Declined{Session: s.request.Session, Code: code})
}

// end forgets a session.
func (b *Broker) end(s *session) {
	if b.sessions[s.request.Session] != s {
		return
	}
	delete(b.sessions, s.request.Session)
	b.dropParty(s, s.dialer)
	for _, p := range s.asked {
		b.dropParty(s, p)
	}
	release(b.dialing, s.dialer.node)
	release(b.serving, s.node)
	if c := b.clients[s.dialer]; c != nil && c.guest { // after what is to be sent now
		b.timers.at(b.o.Now(), func(now time.Time) { b.closeGuest(c, now) })
	}
}

func release[K comparable](count map[K]int, key K) {
	if count[key]--; count[key] <= 0 {
		delete(count, key)
	}
}

// addParty notes that a party is the dialer of a session or may answer it, dropParty that
// it is so no more. The broker looks up the sessions of each client that leaves, and all
// clients may leave at once.
func (b *Broker) addParty(s *session, p party) {
	if b.sessionsOf[p] == nil {
		b.sessionsOf[p] = map[*session]bool{}
	}
	b.sessionsOf[p][s] = true
}

func (b *Broker) dropParty(s *session, p party) {
	if delete(b.sessionsOf[p], s); len(b.sessionsOf[p]) == 0 {
		delete(b.sessionsOf, p)
	}
}

// endDialed ends the sessions of a dialer that has left.
func (b *Broker) endDialed(c *client) {
	for s := range b.sessionsOf[c.party] {
		if s.dialer != c.party || s.done != nil { // the end of a pairing tells its own end
			continue
		}
		if !s.accepted {
			b.tellAsked(s, hub.TypeCancelled)
		}
		b.end(s)
	}
}

// orphan ends the requests that wait for a client that is gone.
func (b *Broker) orphan(c *client) {
	for s := range b.sessionsOf[c.party] {
		at := slices.Index(s.asked, c.party)
		if at < 0 || s.accepted {
			continue
		}
		b.dropParty(s, c.party)
		if s.asked = slices.Delete(s.asked, at, at+1); len(s.asked) == 0 {
			b.endDeclined(s, hub.CodeOffline)
		}
	}
}

// asks returns the session that an event names, if the client may answer it.
func (b *Broker) asks(c *client, id hub.ID) (*session, error) {
	s := b.sessions[id]
	if s == nil || s.waits || !slices.Contains(s.asked, c.party) {
		return nil, refuse(hub.CodeNotFound, "no such session")
	}
	return s, nil
}

// pending gives the listener more time, once: a person is asked.
func (b *Broker) pending(c *client, e hub.Event, now time.Time) error {
	var p hub.SessionRef
	if err := read(e, &p); err != nil {
		return err
	}
	s, err := b.asks(c, p.Session)
	if err != nil || s.pending || s.accepted {
		return err
	}
	s.pending = true
	b.until(s, s.deadline.Add(hub.PendingTimeout))
	b.send(b.clients[s.dialer], hub.TypePending, c, &p)
	return nil
}

// accept passes the listener's answer on to both ends. A listener repeats it when the
// request was repeated.
func (b *Broker) accept(c *client, e hub.Event, now time.Time) error {
	var a hub.Accept
	if err := read(e, &a); err != nil {
		return err
	}
	s, err := b.asks(c, a.Session)
	if err != nil {
		return refuse(hub.CodeGone, "the session is over")
	}
	if !s.accepted {
		s.accepted, s.listener = true, c.party
		others := slices.DeleteFunc(slices.Clone(s.asked), func(p party) bool { return p == c.party })
		for _, p := range others {
			b.dropParty(s, p)
			b.send(b.clients[p], hub.TypeCancelled, nil, &hub.SessionRef{Session: a.Session})
		}
		s.asked = []party{c.party}
		b.until(s, now.Add(hub.SessionLife))
		b.count(CountSessions, "created")
		b.took(TookSession, now.Sub(s.began))
	}
	b.tellCreated(s, a.Sealed, a.Sig, now)
	return nil
}

// tellCreated tells both ends of a session that it was accepted.
func (b *Broker) tellCreated(s *session, sealed, sig []byte, now time.Time) {
	id, kind, life := s.request.Session, s.request.Kind, seconds(s.deadline.Sub(now))
	dialer, listener := b.clients[s.dialer], b.clients[s.listener]
	toDialer := &hub.Created{Session: id, Role: hub.RoleDialer, Peer: s.listener.node, Kind: kind, SessionToken: sealed, Sig: sig, ExpiresS: life, Relay: doors(s, hub.RoleDialer, dialer)}
	toListener := &hub.Created{Session: id, Role: hub.RoleListener, Peer: s.dialer.node, Kind: kind, ExpiresS: life, Relay: doors(s, hub.RoleListener, listener)}
	if listener != nil {
		toDialer.Name, toDialer.Vouchers = b.nameOf(listener), listener.vouchers
	}
	if dialer != nil {
		toListener.Name = b.nameOf(dialer)
	}
	b.send(dialer, hub.TypeCreated, listener, toDialer)
	b.send(listener, hub.TypeCreated, dialer, toListener)
}

// decline ends a request; with a bearer the last of the listeners that were asked does.
func (b *Broker) decline(c *client, e hub.Event) error {
	var d hub.Decline
	if err := read(e, &d); err != nil {
		return err
	}
	s, err := b.asks(c, d.Session)
	if err != nil || s.accepted {
		return err
	}
	s.asked = slices.DeleteFunc(s.asked, func(p party) bool { return p == c.party })
	b.dropParty(s, c.party)
	if len(s.asked) == 0 {
		b.endDeclined(s, d.Code)
	}
	return nil
}

// cancel ends a session for its dialer, before or after the accept.
func (b *Broker) cancel(c *client, e hub.Event) error {
	var ref hub.SessionRef
	if err := read(e, &ref); err != nil {
		return err
	}
	s := b.sessions[ref.Session]
	if s == nil || s.dialer != c.party {
		return refuse(hub.CodeNotFound, "no such session")
	}
	if !s.accepted {
		b.count(CountSessions, "cancelled")
	}
	b.tellAsked(s, hub.TypeCancelled)
	b.end(s)
	return nil
}
