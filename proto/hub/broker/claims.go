package broker

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"mesh/proto/hub"
	"mesh/proto/identity"
)

const (
	// noCodeAfter is how long a claim that fails takes. A box that is free by then is
	// claimed after all.
	noCodeAfter = 500 * time.Millisecond
	// shareWithin is how long a claim waits for the new share of a box that is free again:
	// its code is good, and the listener may have a slow link.
	shareWithin = 5 * time.Second
	// MaxWrong is how many wrong confirms of a node in wrongIn end its claims, for that
	// long.
	MaxWrong = 3
	wrongIn  = time.Hour
	// maxPlateDigits is the length of [hub.MaxPlate].
	maxPlateDigits = 6
	// plateRest is how long the plate of a code that has ended is avoided; maxHad bounds
	// the plates for which that is known. A plate is sought plateTries times in each range.
	plateRest  = hub.CodeLife
	maxHad     = 65536
	plateTries = 200
	// minGuestPlate is the lowest plate of a hub that takes guests: they are many.
	minGuestPlate = 100
)

// claimLimits bound the claims of a node and of a source.
type claimLimits struct {
	minute, hour             buckets[identity.ID]
	sourceMinute, sourceHour buckets[netip.Prefix]
	wrong                    map[identity.ID]*wrong
}

// wrong are the last wrong confirms of a node. It may claim nothing before until.
type wrong struct {
	times []time.Time
	until time.Time
}

func newClaimLimits() claimLimits {
	return claimLimits{
		newBuckets[identity.ID](claimRate), newBuckets[identity.ID](claimHourRate),
		newBuckets[netip.Prefix](claimRate), newBuckets[netip.Prefix](claimHourRate),
		map[identity.ID]*wrong{},
	}
}

// take counts a claim, or says why it may not be made.
func (l *claimLimits) take(c *client, now time.Time) error {
	if w := l.wrong[c.node]; w != nil && now.Before(w.until) {
		return refuse(hub.CodeRateLimited, "%d wrong codes in an hour: no more for an hour", MaxWrong)
	}
	if !l.minute.take(now, c.node) || !l.sourceMinute.take(now, c.source) {
		return refuse(hub.CodeRateLimited, "more than 5 codes a minute")
	}
	if !l.hour.take(now, c.node) || !l.sourceHour.take(now, c.source) {
		return refuse(hub.CodeRateLimited, "more than 30 codes an hour")
	}
	return nil
}

func (l *claimLimits) countWrong(node identity.ID, now time.Time) {
	w := l.wrong[node]
	if w == nil {
		if len(l.wrong) >= MaxBuckets {
			return
		}
		w = &wrong{}
		l.wrong[node] = w
	}
	w.forget(now)
	if w.times = append(w.times, now); len(w.times) >= MaxWrong {
		w.times, w.until = nil, now.Add(wrongIn)
	}
}

func (w *wrong) forget(now time.Time) {
	w.times = slices.DeleteFunc(w.times, func(t time.Time) bool { return now.Sub(t) >= wrongIn })
}

// sweep forgets those who have done nothing for long.
func (l *claimLimits) sweep(now time.Time) {
	l.minute.sweep(now)
	l.hour.sweep(now)
	l.sourceMinute.sweep(now)
	l.sourceHour.sweep(now)
	for node, w := range l.wrong {
		if w.forget(now); len(w.times) == 0 && !now.Before(w.until) {
			delete(l.wrong, node)
		}
	}
}

// errLater stands for an answer that follows.
var errLater = errors.New("answered later")

// claim takes a claim. The claim of the node that has the box is a repeat.
func (b *Broker) claim(c *client, e hub.Event, now time.Time) (hub.Event, error) {
	var d hub.CodeClaim
	if err := read(e, &d); err != nil {
		return hub.Event{}, err
	}
	if x := b.codes.plates[d.Plate]; x != nil && x.claim.is(c) {
		x.claim.by = c.party
		return claimed(x)
	}
	if err := b.codes.claims.take(c, now); err != nil {
		return hub.Event{}, err
	}
	if x := b.claimable(d.Plate, now); x != nil {
		b.claimBox(x, c.party, now)
		return claimed(x)
	}
	b.claimAt(now.Add(noCodeAfter), now.Add(shareWithin), &Conn{b, c, c.conn}, e, d.Plate)
	return hub.Event{}, errLater
}

// claimAt claims the box behind a plate at the time, or answers that there is no code. A box
// that has no new share yet is tried again until end.
func (b *Broker) claimAt(at, end time.Time, k *Conn, e hub.Event, plate uint32) {
	b.timers.at(at, func(now time.Time) {
		if x := b.codes.plates[plate]; x != nil && x.stale && k.current() && now.Before(end) {
			b.claimAt(now.Add(noCodeAfter), end, k, e, plate)
			return
		}
		var answer hub.Event
		err := refuse(hub.CodeNoCode, "no such code")
		if x := b.claimable(plate, now); x != nil && k.current() {
			b.claimBox(x, k.c.party, now)
			answer, err = claimed(x)
		}
		k.answer(e, answer, err, 0)
	})
}

// claimable returns the box behind a plate, if it can be claimed now.
func (b *Broker) claimable(plate uint32, now time.Time) *box {
	x := b.codes.plates[plate]
	if x == nil || x.claim != nil || x.stale || !now.Before(x.expires) {
		return nil
	}
	return x
}

func claimed(x *box) (hub.Event, error) {
	return hub.New(hub.TypeCodeClaimed, &hub.CodeClaimed{Box: x.open.Box, Peer: x.owner.node, Kind: x.open.Kind, Share: x.open.Share, AD: x.open.AD})
}

// claimBox gives a box to a node, for as long as it may take to confirm.
func (b *Broker) claimBox(x *box, by party, now time.Time) {
	x.claim = &claim{by: by}
	b.count(CountCodes, "claimed")
	b.claimUntil(x, now.Add(hub.ConfirmTimeout))
	if from := b.clients[by]; from != nil {
		b.send(b.clients[x.owner], hub.TypeCodeClaimed, from, &hub.CodeClaimed{Box: x.open.Box})
	}
}

// claimUntil sets the time at which the claim ends: without a confirm the box is free
// again, without an answer to it the box is closed.
func (b *Broker) claimUntil(x *box, deadline time.Time) {
	k := x.claim
	k.deadline = deadline
	b.timers.at(deadline, func(now time.Time) {
		switch {
		case b.codes.boxes[x.open.Box] != x || x.claim != k || now.Before(k.deadline):
		case k.confirm == nil:
			b.freeBox(x, now)
		default:
			b.burnBox(x, nil, hub.BurnTimeout)
		}
	})
}

// freeBox ends a claim without a confirm: the dialer has learnt nothing. The listener
// sends another share.
func (b *Broker) freeBox(x *box, now time.Time) {
	x.claim, x.stale = nil, true
	b.count(CountCodes, "freed")
	b.send(b.clients[x.owner], hub.TypeCodeFreed, nil, &hub.CodeFreed{Box: x.open.Box})
	if !now.Before(x.expires) {
		b.closeBox(x)
	}
}

// confirm passes the proof of the node that has claimed the box on to its listener. That
// node repeats it after a reconnect.
func (b *Broker) confirm(c *client, e hub.Event, now time.Time) error {
	d := new(hub.CodeConfirm)
	if err := read(e, d); err != nil {
		return err
	}
	x := b.codes.boxes[d.Box]
	if s := b.sessions[d.Box]; x == nil && s != nil && s.dialer == c.party && s.confirm != nil && sameConfirm(s.confirm, d) {
		b.tellDone(s, now)
		return nil
	}
	if x == nil || !x.claim.is(c) {
		return refuse(hub.CodeNotFound, "no such box")
	}
	switch k := x.claim; {
	case k.confirm == nil:
		k.by, k.confirm = c.party, d
		b.claimUntil(x, now.Add(hub.ConfirmTimeout))
	case !sameConfirm(k.confirm, d):
		return refuse(hub.CodeBadEvent, "the box has had its confirm")
	}
	b.send(b.clients[x.owner], hub.TypeCodeConfirm, c, d)
	return nil
}

func sameConfirm(a, b *hub.CodeConfirm) bool {
	return string(a.Share) == string(b.Share) && string(a.AD) == string(b.AD) && string(a.Tag) == string(b.Tag)
}
