package relay

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"mesh/proto"
	"mesh/proto/identity"
)

// DefaultSessions is the default of [Options.Sessions].
const DefaultSessions = 1000

// The limits that a relay has without being told.
const (
	// maxPairs bounds the pairs of a session, maxPlaces the places that one of its ends
	// holds.
	maxPairs  = 4
	maxPlaces = 4
	// joinsOfSession a second may join after the signature, and joinsOfSource before it.
	joinsOfSession = 2
	joinsOfSource  = 10
	// idleLooks is how often the relay looks at a pair in the time it may be idle.
	idleLooks = 4
	// keepSession is how long the relay remembers the bytes of a session without
	// connections, keepLeft how long that a process has left. maxSessionsKept bounds
	// what it remembers.
	keepSession     = PermitLife + DateSlack
	keepLeft        = 10 * time.Minute
	maxSessionsKept = 1 << 16
	// maxSources bounds the sources whose joins are counted.
	maxSources = 1 << 16
	// minGrantBytes is the smallest share that a session takes at a time of a rate.
	minGrantBytes = 4 << 10
	// grantsPerSecond is how many shares a rate is divided into, if they are then
	// neither too small nor too large.
	grantsPerSecond = 64
)

// limits are those that tests make smaller.
type limits struct {
	sessions             int // that have a pair
	ofDialer, ofListener int // the same of one node
	places, placesOfNode int
	halfOpen             int // connections that have not shown a permit and a signature
	halfOpenOfSource     int
	sessionBurst         int // joins of a session at once
	sourceBurst          int // joins at once of an IPv4 address or an IPv6 network of 56 bits
	couples              int // whose bytes are counted
	doorTimeout          time.Duration
	idle                 time.Duration
}

func defaultLimits() limits {
	return limits{
		sessions: DefaultSessions, ofDialer: 16, ofListener: 256, places: 16384, placesOfNode: 1024,
		halfOpen: 256, halfOpenOfSource: 32, sessionBurst: 8, sourceBurst: 30, couples: maxUsed, doorTimeout: DoorTimeout, idle: 60 * time.Second,
	}
}

// node counts what a node has at the relay.
type node struct {
	places   int
	sessions [2]int // with a pair, as dialer and as listener
}

func (s *Server) countNodeLocked(id identity.ID, change func(*node)) {
	n := s.nodes[id]
	change(&n)
	if n == (node{}) {
		delete(s.nodes, id)
	} else {
		s.nodes[id] = n
	}
}

// countSessionLocked counts a session that has its first pair, or has lost its last one.
func (s *Server) countSessionLocked(ses *session, by int) {
	s.paired += by
	s.countNodeLocked(ses.dialer, func(n *node) { n.sessions[0] += by })
	s.countNodeLocked(ses.listener, func(n *node) { n.sessions[1] += by })
}

// forgetLocked drops what need not be remembered of sessions without connections, and the
// oldest of them if the memory is full.
func (s *Server) forgetLocked() {
	if len(s.sessions) < s.sweepAt {
		return
	}
	now, oldest := time.Now(), (*session)(nil)
	for key, ses := range s.sessions {
		age := now.Sub(ses.idle)
		switch {
		case ses.legs != [2]int{}:
		case age > keepSession || age > keepLeft && !ses.shares.counts():
			delete(s.sessions, key)
		case oldest == nil || ses.idle.Before(oldest.idle):
			oldest = ses
		}
	}
	if len(s.sessions) >= maxSessionsKept && oldest != nil {
		delete(s.sessions, oldest.meeting)
	}
	s.sweepAt = min(max(2*len(s.sessions), firstSweep), maxSessionsKept)
}

const firstSweep = 1 << 10

// sourceOf returns the network that limits count an address under.
func sourceOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 56
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // an invalid address has no prefix: all of them are one source
	return p
}

// source is what the door counts of one source.
type source struct {
	joins *rate.Limiter
	open  []*entry // the oldest first
}

// entry is a connection that has not shown a permit and a signature.
type entry struct {
	source netip.Prefix
	began  time.Time
	end    func() // closes the connection
}

// enter lets a connection in to the door, or reports that a limit is reached. The caller
// calls leave. When all places at the door are taken, the one that has taken longest goes
// if it has had a second.
func (s *Server) enter(from netip.Addr, end func()) (*entry, bool) {
	e := &entry{source: sourceOf(from), began: time.Now(), end: end}
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.sourceLocked(e.source)
	if s.closed || !src.joins.Allow() || len(src.open) >= s.limits.halfOpenOfSource {
		return nil, false
	}
	if s.halfOpen >= s.limits.halfOpen && !s.pushOutLocked() {
		return nil, false
	}
	src.open = append(src.open, e)
	s.halfOpen++
	return e, true
}

// pushOutLocked ends the oldest entry if it has had its time.
func (s *Server) pushOutLocked() bool {
	var oldest *entry
	for _, src := range s.sources {
		if len(src.open) > 0 && (oldest == nil || src.open[0].began.Before(oldest.began)) {
			oldest = src.open[0]
		}
	}
	if oldest == nil || time.Since(oldest.began) < time.Second {
		return false
	}
	oldest.end()
	s.leaveLocked(oldest)
	return true
}

func (s *Server) sourceLocked(p netip.Prefix) *source {
	src := s.sources[p]
	if src != nil {
		return src
	}
	if len(s.sources) >= maxSources {
		for other, o := range s.sources {
			if len(o.open) == 0 && o.joins.Tokens() >= float64(s.limits.sourceBurst) {
				delete(s.sources, other)
			}
		}
	}
	src = &source{joins: rate.NewLimiter(joinsOfSource, s.limits.sourceBurst)}
	s.sources[p] = src
	return src
}

// leave says that a connection has passed the door, or has ended there.
func (s *Server) leave(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaveLocked(e)
}

func (s *Server) leaveLocked(e *entry) {
	src := s.sources[e.source]
	if src == nil {
		return
	}
	for i, o := range src.open {
		if o == e {
			src.open = append(src.open[:i:i], src.open[i+1:]...)
			s.halfOpen--
			return
		}
	}
}

// shares are the limits of what a session moves.
type shares struct {
	mu    sync.Mutex // guards rate and quota
	rate  *rate.Limiter
	quota uint64 // 0 is no limit

	used atomic.Uint64
	turn chan struct{} // has an element while a direction takes from the total rate
	// credit is what the session has taken of the total rate and not moved, and next what
	// it takes then; both are guarded by turn. All sessions take the same, and are in the
	// line for the next share while they move the last one: else one that has little in
	// its buffers at a time, or is slow, would get less than another one.
	credit int
	next   *rate.Reservation
}

// bound sets the limits to the smaller ones of the relay and of a permit.
func (h *shares) bound(o Options, p Permit) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.quota = smaller(o.Bytes, p.Bytes)
	r := smaller(o.Rate, p.Rate)
	switch {
	case r == 0:
		h.rate = nil
	case h.rate == nil:
		h.rate = newRate(r)
	default:
		h.rate.SetLimit(rate.Limit(r))
		h.rate.SetBurst(grantOf(r))
	}
}

// smaller returns the smaller of two bounds, of which 0 is none.
func smaller(a, b uint64) uint64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// counts reports whether the session's bytes are limited and it has used some.
func (h *shares) counts() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.quota != 0 && h.used.Load() != 0
}

// spent reports whether the session has used up its bytes.
func (h *shares) spent() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.quota != 0 && h.used.Load() >= h.quota
}

// take takes up to n bytes of the quota, and returns how many there are.
func (h *shares) take(n int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if used := h.used.Load(); h.quota != 0 {
		n = int(min(uint64(n), h.quota-min(used, h.quota)))
	}
	h.used.Add(uint64(n))
	return n
}

func (h *shares) limiter() *rate.Limiter {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rate
}

// grantOf returns how many bytes a session takes at a time of a rate, in bytes per second.
func grantOf(r uint64) int {
	return int(min(max(r/grantsPerSecond, minGrantBytes), grantBytes))
}

func newRate(r uint64) *rate.Limiter { return rate.NewLimiter(rate.Limit(r), grantOf(r)) }

// grant returns how many bytes a direction of a pair may move at a time.
func (s *Server) grant(ses *session) int {
	n := grantBytes
	if s.total != nil {
		n = min(n, s.total.Burst())
	}
	if r := ses.shares.limiter(); r != nil {
		n = min(n, r.Burst())
	}
	return n
}

// wait waits until a direction may move n bytes, or fewer if the session then has used up
// its bytes. Sessions take their turns at the total rate: each waits for one grant at a
// time.
func (s *Server) wait(ctx context.Context, ses *session, n int) (int, error) {
	if n = ses.shares.take(n); n == 0 {
		return 0, &proto.Error{Code: proto.Busy, Err: errSpent}
	}
	ses.used.add(n, s.o.Now())
	if err := s.limited(ctx, limitSession, ses.shares.limiter(), n); err != nil {
		return 0, err
	}
	if s.total == nil {
		return n, nil
	}
	select {
	case ses.shares.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	defer func() { <-ses.shares.turn }()
	if ses.shares.credit < n {
		if err := s.takeTurn(ctx, &ses.shares); err != nil {
			return 0, err
		}
	}
	ses.shares.credit -= n
	return n, nil
}

// takeTurn waits for the session's share of the total rate.
func (s *Server) takeTurn(ctx context.Context, h *shares) error {
	grant := s.total.Burst()
	if h.next == nil {
		h.next = s.total.ReserveN(time.Now(), grant)
	}
	if wait := h.next.Delay(); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		s.stats.limited[limitTotal].Add(int64(wait))
	}
	h.credit += grant
	h.next = s.total.ReserveN(time.Now(), grant)
	return nil
}

// limited waits for n bytes of a rate, and counts the time.
func (s *Server) limited(ctx context.Context, what int, r *rate.Limiter, n int) error {
	if r == nil || r.AllowN(time.Now(), n) {
		return nil
	}
	began := time.Now()
	// The burst may have become smaller than a grant that was taken before.
	err := r.WaitN(ctx, min(n, r.Burst()))
	s.stats.limited[what].Add(int64(time.Since(began)))
	return err
}
