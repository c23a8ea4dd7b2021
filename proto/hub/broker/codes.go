package broker

import (
	"math/rand/v2"
	"strconv"
	"time"

	"mesh/proto/hub"
	"mesh/proto/identity"
)

// codes are the boxes behind codes, by id and by plate, and the limits of claims.
type codes struct {
	boxes  map[hub.ID]*box
	plates map[uint32]*box
	of     map[identity.ID]int // open boxes of a node
	used   [maxPlateDigits]uint32
	// had are the plates that nodes had until less than plateRest ago, each with when that
	// is over; resting counts them by plate.
	had     map[had]time.Time
	resting map[uint32]int
	opens   buckets[identity.ID]
	claims  claimLimits
}

func newCodes() codes {
	return codes{boxes: map[hub.ID]*box{}, plates: map[uint32]*box{}, had: map[had]time.Time{}, resting: map[uint32]int{}, of: map[identity.ID]int{}, opens: newBuckets[identity.ID](openCodeRate), claims: newClaimLimits()}
}

// had is a plate whose box was closed. It is avoided for a time: somebody who types the old
// code would burn the new one.
type had struct {
	plate uint32
	node  identity.ID // the listener's
}

// box is the place behind a code: at most one node at a time has claimed it.
type box struct {
	open    hub.CodeOpen
	owner   party
	plate   uint32
	expires time.Time
	claim   *claim
	// stale says that the share was told to a node that then was silent: the box can be
	// claimed again when the listener has sent another one.
	stale bool
}

// claim is the right of one node to confirm a box.
type claim struct {
	// by has no instance if the listener told of the claim after a restart: the first
	// instance of that node that confirms is meant.
	by       party
	confirm  *hub.CodeConfirm
	deadline time.Time
}

// is reports whether the client may use the claim.
func (k *claim) is(c *client) bool {
	return k != nil && (k.by == c.party || k.by == party{node: c.node})
}

// openBox opens a box, or opens it again as its listener asks.
func (b *Broker) openBox(c *client, e hub.Event, now time.Time) (hub.Event, error) {
	var o hub.CodeOpen
	if err := read(e, &o); err != nil {
		return hub.Event{}, err
	}
	x := b.codes.boxes[o.Box]
	switch {
	case x != nil && (x.owner != c.party || x.open.Kind != o.Kind), b.sessions[o.Box] != nil:
		return hub.Event{}, refuse(hub.CodeBadEvent, "the box's id is in use")
	case x != nil && x.claim == nil:
		if x.open, x.stale = o, false; o.Claimed != (identity.ID{}) {
			b.claimBox(x, party{node: o.Claimed}, now)
		}
	case x != nil && string(x.open.Share) != string(o.Share):
		return hub.Event{}, refuse(hub.CodeBadEvent, "the box is claimed")
	case x == nil:
		var err error
		if x, err = b.newBox(c, o, now); err != nil {
			return hub.Event{}, err
		}
	}
	return hub.New(hub.TypeCodeOpened, &hub.CodeOpened{Plate: x.plate, ExpiresS: seconds(x.expires.Sub(now))})
}

func (b *Broker) newBox(c *client, o hub.CodeOpen, now time.Time) (*box, error) {
	if b.draining {
		return nil, refuse(hub.CodeDraining, "the hub is about to restart")
	}
	if !b.codes.opens.take(now, c.node) {
		return nil, refuse(hub.CodeRateLimited, "more than one new code a second")
	}
	plate := b.formerPlate(o.Plate, now)
	if plate == 0 {
		plate = b.freePlate(c.node)
	}
	if b.codes.of[c.node] >= hub.MaxCodes || plate == 0 {
		return nil, refuse(hub.CodeLimit, "too many open codes")
	}
	b.codes.used[digits(plate)-1]++
	x := &box{open: o, owner: c.party, plate: plate, expires: now.Add(hub.CodeLife)}
	b.codes.boxes[o.Box], b.codes.plates[plate] = x, x
	b.codes.of[c.node]++
	b.count(CountCodes, "opened")
	b.timers.at(x.expires, func(time.Time) {
		if x.claim == nil {
			b.closeBox(x)
		} // else the end of the claim closes it
	})
	if o.Claimed != (identity.ID{}) {
		b.claimBox(x, party{node: o.Claimed}, now)
	}
	return x, nil
}

// formerPlate returns the plate that a box had at this hub before a restart, or 0 if it may
// not have it again. Later than [hub.CodeLife] after the start there is no such box.
func (b *Broker) formerPlate(plate uint32, now time.Time) uint32 {
	taken := b.codes.plates[plate] != nil || b.codes.resting[plate] > 0
	if taken || b.o.Guests && plate < minGuestPlate || now.Sub(b.started) >= hub.CodeLife {
		return 0
	}
	return plate
}

// freePlate returns a random plate that is free, of the fewest digits of which less than
// a tenth is in use; 0 if there is none. If it can, it avoids those that rest. It never returns
// one that the node itself had.
func (b *Broker) freePlate(node identity.ID) uint32 {
	low := uint32(1)
	if b.o.Guests {
		low = minGuestPlate
	}
	for ; low <= hub.MaxPlate; low *= 10 {
		size := 9 * low
		if b.codes.used[digits(low)-1]*10 >= size {
			continue
		}
		for n := range plateTries {
			p := low + rand.N(size)
			own := !b.codes.had[had{p, node}].IsZero()
			if b.codes.plates[p] == nil && !own && (b.codes.resting[p] == 0 || n >= plateTries/2) {
				return p
			}
		}
	}
	return 0
}

func digits(plate uint32) int { return len(strconv.Itoa(int(plate))) }

// closeBox forgets a box. Its plate is free, and rests.
func (b *Broker) closeBox(x *box) {
	if b.codes.boxes[x.open.Box] != x {
		return
	}
	delete(b.codes.boxes, x.open.Box)
	delete(b.codes.plates, x.plate)
	b.codes.used[digits(x.plate)-1]--
	release(b.codes.of, x.owner.node)
	b.rest(had{x.plate, x.owner.node})
}

func (b *Broker) rest(h had) {
	if len(b.codes.had) >= maxHad {
		return
	}
	until := b.o.Now().Add(plateRest)
	if b.codes.had[h].IsZero() {
		b.codes.resting[h.plate]++
	}
	b.codes.had[h] = until
	b.timers.at(until, func(time.Time) {
		if b.codes.had[h].Equal(until) {
			delete(b.codes.had, h)
			release(b.codes.resting, h.plate)
		}
	})
}

// burnBox closes a box, and tells the node that has claimed it.
func (b *Broker) burnBox(x *box, from *client, reason string) {
	b.closeBox(x)
	if x.claim != nil {
		b.send(b.clients[x.claim.by], hub.TypeCodeBurn, from, &hub.CodeBurn{Box: x.open.Box, Reason: reason})
	}
}

// burn closes a box for its listener. A wrong confirm counts against the dialer.
func (b *Broker) burn(c *client, e hub.Event, now time.Time) error {
	var d hub.CodeBurn
	if err := read(e, &d); err != nil {
		return err
	}
	x := b.codes.boxes[d.Box]
	if x == nil || x.owner != c.party {
		return refuse(hub.CodeNotFound, "no such box")
	}
	if d.Reason == hub.BurnWrong && x.claim != nil && x.claim.confirm != nil {
		b.codes.claims.countWrong(x.claim.by.node, now)
		b.count(CountCodes, "wrong")
	}
	b.burnBox(x, c, d.Reason)
	return nil
}

// done ends an exchange: a session of the two ends begins, whose id is the box's. A
// listener repeats it after a reconnect.
func (b *Broker) done(c *client, e hub.Event, now time.Time) error {
	d := new(hub.CodeDone)
	if err := read(e, d); err != nil {
		return err
	}
	x := b.codes.boxes[d.Box]
	if s := b.sessions[d.Box]; x == nil && s != nil && s.done != nil && s.listener == c.party {
		b.tellDone(s, now)
		return nil
	}
	switch {
	case x == nil || x.owner != c.party:
		return refuse(hub.CodeGone, "no such box")
	case x.claim == nil || x.claim.confirm == nil:
		return refuse(hub.CodeBadEvent, "nobody has confirmed the box")
	}
	dialer := x.claim.by
	if b.dialing[dialer.node] >= MaxDialing || b.serving[c.node] >= MaxListening || len(b.sessions) >= MaxSessions {
		return refuse(hub.CodeLimit, "too many open sessions")
	}
	b.closeBox(x)
	s := &session{
		request: hub.Request{Session: d.Box, Kind: x.open.Kind}, dialer: dialer, node: c.node,
		asked: []party{c.party}, listener: c.party, accepted: true, confirm: x.claim.confirm, done: d, began: now,
	}
	b.count(CountCodes, "done")
	b.count(CountSessions, "created")
	b.sessions[d.Box] = s
	b.addParty(s, dialer)
	b.addParty(s, c.party)
	s.relay = b.relay(s, now)
	b.dialing[dialer.node]++
	b.serving[c.node]++
	b.until(s, now.Add(hub.SessionLife))
	b.tellDone(s, now)
	return nil
}

// tellDone tells both ends of a session that came of a code.
func (b *Broker) tellDone(s *session, now time.Time) {
	b.send(b.clients[s.dialer], hub.TypeCodeDone, b.clients[s.listener], s.done)
	b.tellCreated(s, s.done.Sealed, s.done.Sig, now)
}

// leaveCodes ends what a client that is gone has to do with codes: its own boxes are
// closed, and those that it has claimed are free again.
func (b *Broker) leaveCodes(c *client, now time.Time) {
	for _, x := range b.codes.boxes {
		switch {
		case x.owner == c.party:
			b.burnBox(x, c, hub.BurnOffline)
		case x.claim != nil && x.claim.by == c.party && x.claim.confirm == nil:
			b.freeBox(x, now)
		}
	}
}
