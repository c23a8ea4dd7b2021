package nat

import (
	"net/netip"
	"slices"
	"time"

	"github.com/pion/stun/v4"

	"mesh/proto/candidate"
)

// takeCheck answers a check, and checks the address that it came from.
func (m *Mux) takeCheck(msg *stun.Message, from netip.AddrPort) {
	name, ok := nameOf(msg)
	if !ok {
		return
	}
	m.mu.Lock()
	same := m.checkers[name] // never changed in place
	m.mu.Unlock()
	for _, c := range same {
		if c.peer.Check(msg) == nil {
			c.asked(msg, from)
			return
		}
	}
}

// asked handles a check of the other end.
func (c *Checker) asked(msg *stun.Message, from netip.AddrPort) {
	c.mux.mu.Lock()
	fresh := !c.closed && c.heard.add(checkNumber(msg.TransactionID))
	c.mux.mu.Unlock()
	if !fresh || !c.answers.Allow() || !c.mux.answers.Allow() {
		return
	}
	if b, err := newCheckAnswer(msg, from, &c.peer); err == nil {
		c.mux.send(b, from)
	}
	if t := c.back(from); t != nil {
		c.check(t)
	}
}

// back returns the target to check at once because a check came from its address.
func (c *Checker) back(from netip.AddrPort) *target {
	c.mux.mu.Lock()
	defer c.mux.mu.Unlock()
	t := c.targetLocked(from)
	if t == nil {
		if t = c.addReflexiveLocked(from); t == nil {
			return nil
		}
	}
	if t.proven || time.Since(t.round.last) < checkBackAfter || !c.mux.checks.Allow() {
		return nil
	}
	return t
}

// addReflexiveLocked adds the address of a check that no candidate has, in place of the
// oldest such one if there are too many. It returns nil if the address may not be sent
// to, or if this round has added too many.
func (c *Checker) addReflexiveLocked(from netip.AddrPort) *target {
	known := candidate.At(candidate.PeerReflexive, candidate.UDP, from, 0)
	if c.closed || c.added >= maxReflexive || !known.Dialable(c.local) {
		return nil
	}
	c.added++
	reflexive := func(t *target) bool { return t.typ == candidate.PeerReflexive }
	t := newTarget(from, known.Type, known.Priority)
	c.targets = append(c.targets, t)
	if len(c.targets) > maxCandidates+maxReflexive {
		at := slices.IndexFunc(c.targets, reflexive)
		c.targets = slices.Delete(c.targets, at, at+1)
	}
	c.sendLocked()
	return t
}
