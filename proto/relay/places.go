package relay

import (
	"errors"
	"io"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"mesh/proto"
	"mesh/proto/identity"
)

// meeting is what two permits must agree on to be joined. The session's id alone will
// not do: clients choose it.
type meeting struct {
	session          [16]byte
	dialer, listener identity.ID
}

// session is what the relay knows of a meeting. Server.mu guards it.
type session struct {
	meeting
	places [2][]*leg // of the dialer and of the listener, the oldest first
	pairs  map[*pair]bool
	legs   [2]int  // connections, in places and in pairs
	left   [2]bool // the process of that node has ended its last connection itself
	joins  *rate.Limiter
	shares shares
	used   *used // nil if the bytes have no limit
	record record
	idle   time.Time // since when there are no legs
}

// join gives a leg a place and joins it with one of the other end, if there is one.
// It takes over the leg unless it returns an error, which is that of a refusal.
func (s *Server) join(l *leg) error {
	s.mu.Lock()
	if s.draining {
		s.mu.Unlock()
		l.refuse(Draining)
		return nil
	}
	ses, err := s.admitLocked(l)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	var old *leg
	if list := ses.places[l.side()]; len(list) >= maxPlaces {
		old = list[0]
		s.unplaceLocked(ses, old)
		s.releaseLocked(ses, old, false)
	}
	s.placeLocked(ses, l, len(ses.places[l.side()]))
	s.mu.Unlock()
	if old != nil {
		old.quiet()
		old.wire.close()
	}
	s.match(ses)
	return nil
}

// admitLocked returns the session of a leg, which it makes if need be, and counts the
// leg, or returns why there is no place for it.
func (s *Server) admitLocked(l *leg) (*session, error) {
	key := meeting{l.permit.Session, l.permit.Dialer(), l.permit.Listener()}
	ses := s.sessions[key]
	if ses == nil {
		s.forgetLocked()
		ses = &session{meeting: key, pairs: make(map[*pair]bool), joins: rate.NewLimiter(joinsOfSession, s.limits.sessionBurst)}
		ses.shares.turn = make(chan struct{}, 1)
		ses.used = s.usedLocked(key.dialer, key.listener)
		s.sessions[key] = ses
	}
	ses.idle = time.Now()
	if !ses.joins.Allow() {
		return nil, proto.Errorf(proto.Busy, "the session joins too often")
	}
	if err := s.hasRoomLocked(ses, l); err != nil {
		return nil, err
	}
	ses.shares.bound(s.o, l.permit)
	if ses.shares.spent() {
		return nil, proto.Errorf(proto.Busy, "the session has used up its bytes")
	}
	ses.legs[l.side()]++
	ses.left[l.side()] = false
	return ses, nil
}

// hasRoomLocked returns an error if a limit leaves no room for the leg.
func (s *Server) hasRoomLocked(ses *session, l *leg) error {
	side := l.side()
	waits := len(ses.places[1-side]) == 0 || len(ses.pairs) >= maxPairs
	if waits && len(ses.places[side]) < maxPlaces && (s.waiting >= s.limits.places || s.nodes[l.permit.Node].places >= s.limits.placesOfNode) {
		return proto.Errorf(proto.Busy, "all places are taken")
	}
	if waits || len(ses.pairs) > 0 {
		return nil
	}
	if s.paired >= s.limits.sessions || s.nodes[ses.dialer].sessions[0] >= s.limits.ofDialer || s.nodes[ses.listener].sessions[1] >= s.limits.ofListener {
		return proto.Errorf(proto.Busy, "as many sessions are joined as may be")
	}
	return nil
}

// placeLocked puts a leg among the places of its session: before that with the index i.
func (s *Server) placeLocked(ses *session, l *leg, i int) {
	side := l.side()
	ses.places[side] = slices.Insert(ses.places[side], i, l)
	s.waiting++
	s.countNodeLocked(l.permit.Node, func(n *node) { n.places++ })
}

// unplaceLocked takes a leg from the places, and reports whether it was among them.
func (s *Server) unplaceLocked(ses *session, l *leg) bool {
	side := l.side()
	i := slices.Index(ses.places[side], l)
	if i < 0 {
		return false
	}
	ses.places[side] = slices.Delete(ses.places[side], i, i+1)
	s.waiting--
	s.countNodeLocked(l.permit.Node, func(n *node) { n.places-- })
	return true
}

// releaseLocked counts the end of a leg. Clean says that the node's process has ended it.
func (s *Server) releaseLocked(ses *session, l *leg, clean bool) {
	side := l.side()
	ses.legs[side]--
	ses.left[side] = clean && ses.legs[side] == 0
	if ses.legs == [2]int{} {
		ses.idle = time.Now()
		s.recordLocked(ses)
	}
}

// match joins the places of a session while both ends have one, and lets the others wait.
func (s *Server) match(ses *session) {
	for {
		s.mu.Lock()
		if s.draining || len(ses.places[0]) == 0 || len(ses.places[1]) == 0 || len(ses.pairs) >= maxPairs {
			fresh := s.watchLocked(ses)
			s.mu.Unlock()
			for _, l := range fresh {
				l.repeat(func() Status { return s.statusOf(ses, l) })
			}
			return
		}
		p := s.pairLocked(ses)
		s.mu.Unlock()
		s.begin(p)
	}
}

// watchLocked lets the places wait that do not wait yet, and returns them.
func (s *Server) watchLocked(ses *session) (fresh []*leg) {
	for _, list := range ses.places {
		for _, l := range list {
			if !l.watched {
				l.watched = true
				l.wire.watch(s.wg.Go, func(err error) { s.gone(ses, l, err) })
				fresh = append(fresh, l)
			}
		}
	}
	return fresh
}

// statusOf returns what a place is told.
func (s *Server) statusOf(ses *session, l *leg) Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ses.left[1-l.side()] {
		return Left
	}
	return Waiting
}

// gone is called when the connection of a place has ended or said something.
func (s *Server) gone(ses *session, l *leg, err error) {
	s.mu.Lock()
	waited := s.unplaceLocked(ses, l)
	if waited {
		s.releaseLocked(ses, l, err == io.EOF)
	}
	s.mu.Unlock()
	if !waited {
		return // claim has the error
	}
	s.discard(l, err)
	s.tellLeft(ses, l)
}

// discard ends a connection that is in no place and no pair.
func (s *Server) discard(l *leg, err error) {
	l.quiet()
	if errors.Is(err, errEarly) {
		l.say(Refuse(proto.Protocol))
		s.count(l.door, proto.Protocol)
	}
	l.wire.close()
}

// tellLeft tells the places of the other end at once that the process of the leg's node
// has ended its last connection.
func (s *Server) tellLeft(ses *session, l *leg) {
	var told []*leg
	s.mu.Lock()
	if ses.left[l.side()] {
		told = slices.Clone(ses.places[1-l.side()])
	}
	s.mu.Unlock()
	for _, other := range told {
		other.say(Left)
	}
}
