package nat

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/pion/stun/v4"
	"golang.org/x/time/rate"

	"mesh/proto/candidate"
)

const (
	// maxCandidates bounds the candidates of a list that are checked. Those that are learned
	// from checks come on top, maxReflexive at most.
	maxCandidates, maxReflexive = 16, 8

	// maxChecks bounds the checks of one candidate in a round.
	maxChecks = 16

	// firstRound and laterRound are how long a round sends checks.
	firstRound, laterRound = 5 * time.Second, 3 * time.Second

	// generationBurst lists are taken at once, and then one in generationEvery. Close to
	// each other come generationsTogether, and then one a second.
	generationBurst, generationEvery = 64, time.Minute
	generationsTogether              = 3

	// sessionAnswersPerSecond bounds the answers in one session.
	sessionAnswersPerSecond = 10

	// checkBackAfter is the least time between a check that was sent to an address and
	// one that is sent because a check came from there.
	checkBackAfter = 20 * time.Millisecond
)

// Session is what both ends know of a session for which they send checks.
type Session struct {
	ID [16]byte
	// Own and Peer are the keys under which this end and the other one ask (the punch
	// keys of package hub).
	Own, Peer [32]byte
	Dialer    bool // this end dials
	// Local allows loopback candidates, see [candidate.Candidate.Dialable].
	Local bool
}

// Pair is an address at which the other end of a session has answered a check: packets go
// both ways between the socket and there.
type Pair struct {
	Addr netip.AddrPort
	Type candidate.Type
	RTT  time.Duration
}

// Checker sends the checks of one session (RFC 8445, section 7) and answers those of the
// other end. It sends them in rounds: one for each list of candidates, and one for each
// call of Again. It does not trust the other end: the number of addresses, the
// rate and the size of the checks have limits, whatever the other end says.
type Checker struct {
	mux    *Mux
	local  bool
	name   sessionName
	own    punchKey
	peer   punchKey
	slots  chan struct{}
	ctx    context.Context
	stop   context.CancelFunc
	proven chan Pair
	wake   chan struct{} // 1 element: the targets have changed

	answers     *rate.Limiter
	generations *rate.Limiter
	together    *rate.Limiter

	// The rest is guarded by mux.mu.
	closed  bool
	sending bool        // run runs
	heard   replays     // numbers of the other end's checks
	number  uint64      // of this end's next check
	have    bool        // a list was taken or waits
	gen     uint32      // of the newest list
	waiting *time.Timer // takes the newest list
	newest  []candidate.Candidate
	targets []*target // the best first
	added   int       // targets of this round that a check has added
}

// target is an address to check.
type target struct {
	addr     netip.AddrPort
	typ      candidate.Type
	priority uint32
	round    round
	proven   bool // in this round
}

func newTarget(addr netip.AddrPort, t candidate.Type, priority uint32) *target {
	return &target{addr: addr, typ: t, priority: priority, round: round{length: firstRound}}
}

// Check begins to answer the checks of a session's other end. It sends none of its own
// before it has a candidate: from Remote, or by a check from an unknown address.
func (m *Mux) Check(s Session) *Checker {
	c := &Checker{
		mux: m, local: s.Local, name: sessionName(s.ID[:]), own: s.Own, peer: s.Peer, slots: m.listening,
		proven: make(chan Pair, 2*(maxCandidates+maxReflexive)), wake: make(chan struct{}, 1),
		answers:     rate.NewLimiter(sessionAnswersPerSecond, 2*sessionAnswersPerSecond),
		generations: rate.NewLimiter(rate.Every(generationEvery), generationBurst),
		together:    rate.NewLimiter(rate.Every(time.Second), generationsTogether),
		number:      uint64(time.Now().UnixMicro()), // above those of an earlier Checker of the session
	}
	if s.Dialer {
		c.slots = m.dialing
	}
	c.ctx, c.stop = context.WithCancel(m.ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx.Err() != nil {
		c.closeLocked()
		return c
	}
	m.checkers[c.name] = append(m.checkers[c.name], c)
	return c
}

// Proven returns the pairs, each once in a round. A pair that nobody has received when
// many newer ones come is dropped. Close closes the channel.
func (c *Checker) Proven() <-chan Pair { return c.proven }

// Close ends the checks and the answers.
func (c *Checker) Close() {
	c.mux.mu.Lock()
	defer c.mux.mu.Unlock()
	c.closeLocked()
}

func (c *Checker) closeLocked() {
	if c.closed {
		return
	}
	c.closed = true
	c.stop()
	if c.waiting != nil {
		c.waiting.Stop()
	}
	close(c.proven)
	same := slices.DeleteFunc(slices.Clone(c.mux.checkers[c.name]), func(o *Checker) bool { return o == c })
	if c.mux.checkers[c.name] = same; len(same) == 0 {
		delete(c.mux.checkers, c.name)
	}
}

// Remote begins a round for the candidates that the other end has told, in place of the
// ones before. It ignores a list that is not newer than the newest one; everything in a
// list after the first 16 candidates; what is not for UDP or not dialable; and the type
// prflx, which no end has to tell. Lists that
// come too fast wait, and of those that wait only the newest counts.
func (c *Checker) Remote(gen uint32, list []candidate.Candidate) {
	c.mux.mu.Lock()
	defer c.mux.mu.Unlock()
	if c.closed || c.have && gen <= c.gen {
		return
	}
	c.have, c.gen = true, gen
	c.newest = slices.Clone(list[:min(len(list), maxCandidates)])
	if c.waiting != nil {
		return
	}
	wait := max(c.generations.Reserve().Delay(), c.together.Reserve().Delay())
	if wait == 0 {
		c.takeListLocked()
		return
	}
	c.waiting = time.AfterFunc(wait, func() {
		c.mux.mu.Lock()
		defer c.mux.mu.Unlock()
		c.waiting = nil
		if !c.closed {
			c.takeListLocked()
		}
	})
}

func (c *Checker) takeListLocked() {
	learned := slices.DeleteFunc(c.targets, func(t *target) bool { return t.typ != candidate.PeerReflexive })
	c.targets, c.added = nil, 0
	for _, remote := range c.newest {
		addr, _ := remote.AddrPort()
		addr = unmapped(addr)
		if remote.Proto != candidate.UDP || remote.Type == candidate.PeerReflexive || !remote.Dialable(c.local) || c.targetLocked(addr) != nil {
			continue
		}
		c.targets = append(c.targets, newTarget(addr, remote.Type, remote.Priority))
	}
	for _, t := range learned[max(0, len(learned)-maxReflexive):] { // the other end can't tell those
		if c.targetLocked(t.addr) == nil {
			c.targets = append(c.targets, newTarget(t.addr, t.typ, t.priority))
		}
	}
	slices.SortStableFunc(c.targets, func(a, b *target) int { return cmp.Compare(b.priority, a.priority) })
	c.sendLocked()
}

// Again begins a round of 3 seconds for the newest candidates.
func (c *Checker) Again() {
	c.mux.mu.Lock()
	defer c.mux.mu.Unlock()
	if c.closed {
		return
	}
	c.added = 0
	for _, t := range c.targets {
		t.round, t.proven = round{length: laterRound}, false
	}
	c.sendLocked()
}

func (c *Checker) targetLocked(addr netip.AddrPort) *target {
	for _, t := range c.targets {
		if t.addr == addr {
			return t
		}
	}
	return nil
}

// sendLocked lets run look at the targets.
func (c *Checker) sendLocked() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
	if !c.sending {
		c.sending = true
		go c.run()
	}
}

// run sends the checks that are due until all rounds are over.
func (c *Checker) run() {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-c.ctx.Done():
		return
	}
	for {
		t, wait, ok := c.next()
		if !ok {
			return
		}
		if wait > 0 {
			if !c.sleep(wait) {
				return
			}
			continue
		}
		if c.mux.checks.Wait(c.ctx) != nil {
			return
		}
		c.check(t)
	}
}

// sleep waits for a time, or until the targets change. It returns false when the
// Checker is closed.
func (c *Checker) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.wake:
	case <-c.ctx.Done():
		return false
	}
	return true
}

// next returns the target whose check is due first, and how long until then. Without one
// it says that run ends.
func (c *Checker) next() (first *target, wait time.Duration, ok bool) {
	c.mux.mu.Lock()
	defer c.mux.mu.Unlock()
	for _, t := range c.targets {
		if t.proven {
			continue
		}
		if d, due := t.round.due(); due && (first == nil || d < wait) {
			first, wait = t, d
		}
	}
	c.sending = first != nil && !c.closed
	return first, wait, c.sending
}

// check sends one check, unless the target no longer needs it.
func (c *Checker) check(t *target) {
	c.mux.mu.Lock()
	if c.closed || t.proven || t.round.sent >= maxChecks || c.targetLocked(t.addr) != t {
		c.mux.mu.Unlock()
		return
	}
	t.round.count()
	id := checkID(c.number)
	c.number++
	c.mux.expectLocked(id, &request{to: t.addr, sent: time.Now(), answered: func(m *stun.Message, rtt time.Duration) bool {
		return c.answered(m, t.addr, rtt)
	}})
	c.mux.mu.Unlock()
	if b, err := newCheck(c.name, id, &c.own); err == nil {
		c.mux.send(b, t.addr)
	}
}

// answered takes the answer to a check of this end.
func (c *Checker) answered(m *stun.Message, from netip.AddrPort, rtt time.Duration) bool {
	if m.Type != stun.BindingSuccess || c.own.Check(m) != nil {
		return false
	}
	c.mux.mu.Lock()
	defer c.mux.mu.Unlock()
	t := c.targetLocked(from)
	if c.closed || t == nil || t.proven {
		return true
	}
	t.proven = true
	c.mux.rememberLocked(t.addr, t.typ)
	c.tellLocked(Pair{t.addr, t.typ, rtt})
	return true
}

func (c *Checker) tellLocked(p Pair) {
	for {
		select {
		case c.proven <- p:
			return
		default:
		}
		select {
		case <-c.proven: // the oldest
		default:
		}
	}
}
