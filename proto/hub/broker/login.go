package broker

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"mesh/proto/hub"
	"mesh/proto/identity"
)

// Denied is why a login is refused: a WebSocket close code and its reason. All reasons
// of one code are the same for the client.
type Denied struct {
	Code   int
	Reason string
}

// Error returns the reason.
func (d *Denied) Error() string { return d.Reason }

// Source returns the network that counts as one source: an IPv4 address or an IPv6
// network of 56 bits.
func Source(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 56
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // an invalid address has no prefix: all of them are one source
	return p
}

// Blocked reports whether connections of this address are refused for now, since too
// many logins from there failed and no member is logged in from there.
func (b *Broker) Blocked(a netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.o.Now().Before(b.blocked[Source(a)]) || b.banned(identity.ID{}, a)
}

// Login checks the first event of a connection and logs its node in: the answer,
// system.welcome, is sent to out. The error is a [Denied].
func (b *Broker) Login(l hub.Login, h *hub.Hello, from netip.AddrPort, out Out) (*Conn, error) {
	k, err := b.login(l, h, from, out)
	b.countLogin(err)
	return k, err
}

func (b *Broker) login(l hub.Login, h *hub.Hello, from netip.AddrPort, out Out) (*Conn, error) {
	guest, err := b.admit(l, h, from.Addr())
	if err != nil {
		b.NoteFailed(from.Addr())
		b.log("login refused", "node", h.Node.String(), "from", from, "why", err)
		return nil, err
	}
	b.mu.Lock()
	c, err := b.beginAs(h, guest, from.Addr())
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var registered []hub.Registered
	for _, r := range h.Register {
		if guest {
			registered = append(registered, hub.Registered{Name: r.Name, Code: hub.CodeDenied})
			continue
		}
		registered = append(registered, b.register(c, r))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.welcome(h.Node, l.Origin, from, registered)
	if l.CheckJoin(h) {
		w.Joined = b.joined(h.Node, h.Invite.Key)
	}
	c.origin = l.Origin
	k := b.attach(c, out, from.Addr(), w)
	b.flush()
	return k, nil
}

// beginAs begins the client of a member or a guest.
func (b *Broker) beginAs(h *hub.Hello, guest bool, a netip.Addr) (*client, error) {
	if guest && !b.guestPlace(a) {
		return nil, &Denied{hub.CloseFull, "too many guests"}
	}
	c, err := b.begin(party{h.Node, h.Instance})
	if err != nil {
		return nil, err
	}
	b.leaveGuest(c)
	c.vouchers = nil
	if guest {
		b.beginGuest(c, a)
	} else {
		c.vouchers = about(h)
	}
	return c, nil
}

// NoteFailed counts a login from the address that has failed, as [Broker.Login] does itself: its
// first event was no hello.
func (b *Broker) NoteFailed(a netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.countFailed(a, b.o.Now())
}

func (b *Broker) countFailed(a netip.Addr, now time.Time) {
	source := Source(a)
	if !b.failed.take(now, source) && len(b.blocked) < MaxBuckets && !b.hasMember(source) {
		b.blocked[source] = now.Add(BlockFor)
		b.count(CountRateLimited, "logins")
	}
}

// hasMember reports whether a client is logged in from the source: it shares that
// source with the nodes whose logins fail.
func (b *Broker) hasMember(source netip.Prefix) bool {
	for _, c := range b.clients {
		if c.out != nil && !c.guest && c.source == source {
			return true
		}
	}
	return false
}

// admit checks the login: signature and binding, ban, then membership, invite or
// voucher. Who has none of these may be a guest, where the hub takes them.
func (b *Broker) admit(l hub.Login, h *hub.Hello, from netip.Addr) (guest bool, err error) {
	if !l.Check(h) {
		return false, &Denied{hub.CloseBadLogin, "login refused"}
	}
	b.mu.Lock()
	now := b.o.Now()
	member, out := b.isMember(h.Node, now), b.banned(h.Node, from) || b.removed(h.Node)
	draining := b.draining
	b.mu.Unlock()
	switch {
	case draining:
		return false, &Denied{hub.CloseFull, "the hub is about to restart"}
	case out:
	case member:
		return false, nil
	case h.Invite != nil && l.CheckJoin(h):
		err := b.join(h.Node, h.Invite.Key)
		if err == nil {
			return false, nil
		}
		if r, ok := err.(*Refusal); ok && r.Code == hub.CodeInternal {
			b.log("join failed", "err", err)
			return false, &Denied{hub.CloseFull, "the hub can't store the membership"}
		}
	}
	if !out && b.admitVouched(h) {
		return false, nil
	}
	if !out && b.o.Guests && h.Invite == nil {
		return true, nil
	}
	return false, &Denied{hub.CloseNoMember, "not a member of this hub"}
}

func (b *Broker) isMember(node identity.ID, now time.Time) bool {
	if until, ok := b.access.members[node]; ok && within(until, now) {
		return true
	}
	if m := b.facts.members[node]; m != nil && m.Removed.IsZero() && within(m.Until, now) {
		return true
	}
	a, ok := b.admitted[node]
	return ok && within(a.until, now)
}

// removed reports whether an admin has removed the node and nobody has let it in since.
func (b *Broker) removed(node identity.ID) bool {
	_, listed := b.access.members[node]
	m := b.facts.members[node]
	return m != nil && !m.Removed.IsZero() && !listed
}

// within reports whether a date that may be zero, for never, is not over.
func within(until, now time.Time) bool {
	return until.IsZero() || now.Before(until.Add(hub.DateSlack))
}

func (b *Broker) banned(node identity.ID, a netip.Addr) bool {
	a = a.Unmap()
	if len(b.facts.bans) == 0 {
		return b.access.bans(node, a)
	}
	if b.facts.bans[node.String()] != nil {
		return true
	}
	if a.IsValid() {
		for bits := range a.BitLen() + 1 { // there may be more bans than lengths of a prefix
			if p, _ := a.Prefix(bits); b.facts.bans[p.String()] != nil {
				return true
			}
		}
	}
	return b.access.bans(node, a)
}

// join makes the node a member by an invite, and gives it the name in the invite if that
// is free.
func (b *Broker) join(node, invite identity.ID) error {
	var m *Member
	var i Invite
	var n *name
	return b.change(func() (Entry, []Fact, error) {
		now := b.o.Now()
		old := b.facts.invites[invite]
		if old == nil || !within(old.Expires, now) || old.Used >= old.Uses || len(b.facts.members) >= MaxMembers {
			return Entry{}, nil, refuse(hub.CodeDenied, "the invite is not valid")
		}
		i = *old
		i.Used++
		m = &Member{Node: node, Name: i.Name, Since: now.UTC(), Invite: invite}
		if i.ForS > 0 {
			m.Until = m.Since.Add(time.Duration(i.ForS) * time.Second)
		}
		changes := make([]Fact, 0, 3)
		for _, v := range []struct {
			key   string
			value any
		}{{memberKey(node), m}, {inviteKey(invite), i}} {
			f, err := fact(v.key, v.value)
			if err != nil {
				return Entry{}, nil, err
			}
			changes = append(changes, f)
		}
		if i.Name != "" && b.facts.names[i.Name] == nil && len(b.facts.names) < MaxNames {
			n = &name{Name: Name{i.Name, node, m.Since, m.Since, true}, written: now}
			f, err := fact(nameKey(i.Name), n.Name)
			if err != nil {
				return Entry{}, nil, err
			}
			changes = append(changes, f)
		}
		return Entry{By: "invite:" + invite.String(), Op: "join", Node: node, Name: i.Name}, changes, nil
	}, func() {
		b.facts.members[node] = m
		b.facts.invites[invite] = &i
		if n != nil {
			b.facts.names[i.Name] = n
		}
	})
}

// begin returns the client of an instance without a connection: a new one, or the one
// that it had.
func (b *Broker) begin(p party) (*client, error) {
	now := b.o.Now()
	c := b.clients[p]
	if c == nil {
		if len(b.nodes[p.node]) >= MaxNodeConns {
			return nil, &Denied{hub.CloseFull, fmt.Sprintf("a node has at most %d connections", MaxNodeConns)}
		}
		c = &client{party: p, since: now, watches: map[identity.ID]hub.Kind{}, rooms: map[string]bool{}}
		b.clients[p] = c
	} else if c.out != nil {
		c.out.Close(hub.CloseReplaced, "the same instance has logged in again")
	}
	c.out = nil
	c.conn++
	b.counter++
	c.order = b.counter
	rest := slices.DeleteFunc(b.nodes[p.node], func(o *client) bool { return o == c })
	b.nodes[p.node] = append(rest, c)
	b.lose(c, now) // in case that the connection never begins
	return c, nil
}

// attach gives the client its connection, and sends what waits for it.
func (b *Broker) attach(c *client, out Out, from netip.Addr, w hub.Welcome) *Conn {
	c.out, c.seen, c.source = out, b.o.Now(), Source(from)
	c.conn++
	e, err := hub.New(hub.TypeWelcome, &w)
	if err != nil {
		b.log("event is not sent", "type", hub.TypeWelcome, "err", err)
	}
	out.Send(e)
	for _, held := range c.held {
		out.Send(held)
	}
	c.held = nil
	b.passAgain(c, b.o.Now())
	b.tellOnline(c, "", c.kinds)
	return &Conn{b, c, c.conn}
}

// Told returns the limits that a client needs.
func (b *Broker) Told() map[string]uint32 {
	told := map[string]uint32{"event_bytes": hub.MaxEventBytes, "events_s": uint32(eventRate.perSecond), "names": hub.MaxNames, "rooms": hub.MaxRooms}
	if b.o.Guests {
		told[hub.LimitGuests] = 1
	}
	return told
}

func (b *Broker) welcome(node identity.ID, origin string, from netip.AddrPort, registered []hub.Registered) hub.Welcome {
	now := b.o.Now()
	w := hub.Welcome{
		Observed: netip.AddrPortFrom(from.Addr().Unmap(), from.Port()).String(), PingS: seconds(hub.PingEvery), Registered: registered,
		Limits: b.Told(),
	}
	if b.o.Doors != nil && b.isMember(node, now) {
		w.Relay = b.o.Doors(origin)
	}
	if b.o.STUN != nil {
		w.STUN = b.o.STUN(origin)
	}
	if m := b.facts.members[node]; m != nil {
		w.MemberSinceS = seconds(now.Sub(m.Since))
		w.Name = m.Name
		if !m.Until.IsZero() {
			w.ExpiresS = seconds(m.Until.Sub(now))
		}
	} else if a, ok := b.admitted[node]; ok {
		w.ExpiresS = seconds(a.until.Sub(now))
	}
	return w
}
