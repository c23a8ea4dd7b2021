package broker

import (
	"net/netip"
	"time"

	"mesh/proto/hub"
)

const (
	// GuestFor is how long a guest may be without a claim and a session.
	GuestFor = 20 * time.Second
	// MaxGuests bounds the guests of a hub, MaxSourceGuests those of one source.
	MaxGuests       = 1024
	MaxSourceGuests = 64
)

// guestEvents are all that a node may send that is no member.
var guestEvents = map[string]bool{
	hub.TypeCodeClaim: true, hub.TypeCodeConfirm: true, hub.TypeCandidates: true, hub.TypeCancel: true, hub.TypeClosed: true,
}

// guests counts the guests of each source.
type guests struct {
	of  map[netip.Prefix]int
	all int
}

// guestPlace reports whether there is a place for one more guest of an address.
func (b *Broker) guestPlace(a netip.Addr) bool {
	return b.guests.all < MaxGuests && b.guests.of[Source(a)] < MaxSourceGuests
}

// beginGuest makes a client a guest.
func (b *Broker) beginGuest(c *client, a netip.Addr) {
	c.guest, c.source = true, Source(a)
	b.guests.all++
	b.guests.of[c.source]++
	b.watchGuest(c)
}

// leaveGuest forgets that a client is a guest.
func (b *Broker) leaveGuest(c *client) {
	if !c.guest {
		return
	}
	c.guest = false
	b.guests.all--
	if b.guests.of[c.source]--; b.guests.of[c.source] <= 0 {
		delete(b.guests.of, c.source)
	}
}

// watchGuest closes the connection of a guest once it has had nothing to do for
// [GuestFor].
func (b *Broker) watchGuest(c *client) {
	b.timers.at(b.o.Now().Add(GuestFor), func(now time.Time) {
		switch {
		case !c.guest || b.clients[c.party] != c:
		case b.guestBusy(c):
			b.watchGuest(c)
		default:
			b.closeGuest(c, now)
		}
	})
}

func (b *Broker) closeGuest(c *client, now time.Time) {
	if c.guest && c.out != nil {
		c.out.Close(hub.CloseNoMember, "a guest's time is over")
		b.remove(c, now, hub.ReasonLost)
	}
}

// guestBusy reports whether a guest has a claim, or a session that came of one.
func (b *Broker) guestBusy(c *client) bool {
	if b.dialing[c.node] > 0 {
		return true
	}
	for _, x := range b.codes.boxes {
		if x.claim != nil && x.claim.by == c.party {
			return true
		}
	}
	return false
}
