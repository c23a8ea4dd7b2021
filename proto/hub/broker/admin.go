package broker

import (
	"fmt"
	"strings"
	"time"

	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/proto/token"
)

// AddInvite stores an invite, whose Key, Name, Expires, Uses and ForS are given. By is
// the admin.
func (b *Broker) AddInvite(by string, i Invite) error {
	return b.change(func() (Entry, []Fact, error) {
		now := b.o.Now()
		if err := b.checkInvite(i, now); err != nil {
			return Entry{}, nil, err
		}
		i.By, i.Made, i.Used = by, now.UTC(), 0
		f, err := fact(inviteKey(i.Key), i)
		return Entry{By: by, Op: "invite", Name: i.Name, What: i.Key.String()}, append(b.dead(now), f), err
	}, func() {
		for key, old := range b.facts.invites {
			if !old.kept(b.o.Now()) {
				delete(b.facts.invites, key)
			}
		}
		b.facts.invites[i.Key] = &i
	})
}

func (i *Invite) open(now time.Time) bool { return i.Used < i.Uses && within(i.Expires, now) }

// kept reports whether the hub keeps the invite: while it is open, and as long as a voucher
// holds that it carries, which taking the invite back revokes.
func (i *Invite) kept(now time.Time) bool {
	return i.open(now) || i.Voucher != (token.ID{}) && within(i.Ends, now)
}

func (b *Broker) checkInvite(i Invite, now time.Time) error {
	open := 0
	for _, old := range b.facts.invites {
		if old.open(now) {
			open++
		}
	}
	life := i.Expires.Sub(now)
	switch {
	case i.Uses < 1 || i.Uses > MaxInviteUses:
		return refuse(hub.CodeLimit, "an invite has 1 to %d uses", MaxInviteUses)
	case life <= 0 || life > MaxInviteLife:
		return refuse(hub.CodeLimit, "an invite lasts up to %d days", MaxInviteLife/(24*time.Hour))
	case i.ForS < 0:
		return refuse(hub.CodeLimit, "a membership's life can't be negative")
	case len(b.facts.invites) >= MaxKeptInvites:
		return refuse(hub.CodeLimit, "%d invites with vouchers are kept", len(b.facts.invites))
	case open >= MaxInvites:
		return refuse(hub.CodeLimit, "%d invites are open", open)
	case i.Name == "":
		return nil
	}
	if err := hub.CheckName(i.Name); err != nil {
		return &Refusal{hub.CodeBadName, err}
	}
	return b.checkFree(i.Name, now)
}

// checkFree returns why a name cannot be promised to the node that an invite is for.
func (b *Broker) checkFree(text string, now time.Time) error {
	if n := b.facts.names[text]; n != nil && n.kept(now) {
		return refuse(hub.CodeTaken, "the name %s belongs to %s", text, n.Node.Short())
	}
	if b.inviteFor(text, now) != nil {
		return refuse(hub.CodeTaken, "an open invite reserves the name %s", text)
	}
	if b.reservedFor(text, now) != nil {
		return refuse(hub.CodeReserved, "hub_access reserves the name %s", text)
	}
	return nil
}

// dead returns the changes that delete the invites that are used up or over.
func (b *Broker) dead(now time.Time) []Fact {
	var out []Fact
	for key, i := range b.facts.invites {
		if !i.kept(now) {
			out = append(out, Fact{Key: inviteKey(key)})
		}
	}
	return out
}

// RemoveInvite takes an invite back, also one that is used up. The voucher that it carries
// is revoked, and with it all that the joiners have made of it.
func (b *Broker) RemoveInvite(by string, key identity.ID) error {
	b.mu.Lock()
	old := b.facts.invites[key]
	b.mu.Unlock()
	if old != nil && old.Voucher != (token.ID{}) {
		if err := b.o.Revoke(old.Voucher); err != nil {
			return &Refusal{hub.CodeInternal, fmt.Errorf("the voucher is not revoked: %w", err)}
		}
	}
	return b.change(func() (Entry, []Fact, error) {
		if b.facts.invites[key] == nil {
			return Entry{}, nil, refuse(hub.CodeNotFound, "no such invite")
		}
		return Entry{By: by, Op: "invite removed", What: key.String()}, []Fact{{Key: inviteKey(key)}}, nil
	}, func() {
		delete(b.facts.invites, key)
		b.expel()
	})
}

// AddMember makes a node a member, also one that was removed.
func (b *Broker) AddMember(by string, node identity.ID, until time.Time) error {
	var m *Member
	return b.change(func() (Entry, []Fact, error) {
		if b.facts.members[node] == nil && len(b.facts.members) >= MaxMembers {
			return Entry{}, nil, refuse(hub.CodeLimit, "the hub has %d members", MaxMembers)
		}
		m = &Member{Node: node, Since: b.o.Now().UTC(), Until: until}
		f, err := fact(memberKey(node), m)
		return Entry{By: by, Op: "member", Node: node}, []Fact{f}, err
	}, func() { b.facts.members[node] = m })
}

// RemoveMember takes a membership away: the node's connections are closed, its sessions
// and its API tokens end, the invite that it came by is worth nothing any more, and its
// names are free after [KeptFor].
func (b *Broker) RemoveMember(by string, node identity.ID) error {
	var m Member
	var names []*name
	var tokens []string
	return b.change(func() (Entry, []Fact, error) {
		now := b.o.Now().UTC()
		old := b.facts.members[node]
		if _, vouched := b.admitted[node]; old == nil && vouched {
			old = &Member{Node: node, Since: now}
		}
		if old == nil || !old.Removed.IsZero() {
			return Entry{}, nil, refuse(hub.CodeNotFound, "no such member")
		}
		m = *old
		m.Removed = now
		f, err := fact(memberKey(node), m)
		facts := []Fact{f}
		if b.facts.invites[m.Invite] != nil {
			facts = append(facts, Fact{Key: inviteKey(m.Invite)})
		}
		tokens = b.tokensOf(node)
		for _, id := range tokens {
			facts = append(facts, Fact{Key: tokenKey(id)})
		}
		for _, n := range b.facts.names {
			if n.Node == node && n.Lasting {
				kept := n.Name
				kept.Online = now.Add(-LastingFor)
				nf, err := fact(nameKey(kept.Name), kept)
				if err != nil {
					return Entry{}, nil, err
				}
				facts, names = append(facts, nf), append(names, n)
			}
		}
		return Entry{By: by, Op: "member removed", Node: node}, facts, err
	}, func() {
		b.facts.members[node] = &m
		delete(b.facts.invites, m.Invite)
		for _, id := range tokens {
			delete(b.facts.tokens, id)
		}
		delete(b.admitted, node)
		b.expel()
		for _, n := range names {
			n.Online = m.Removed.Add(-LastingFor)
			delete(b.touched, n.Name.Name)
		}
	})
}

// ReleaseName gives a name of the node back.
func (b *Broker) ReleaseName(node identity.ID, text string) error { return b.release(node, text) }

// FreeName takes a name away from its owner, and takes the open invite back that reserves
// it.
func (b *Broker) FreeName(by, text string) error {
	var reserving *Invite
	return b.change(func() (Entry, []Fact, error) {
		n := b.facts.names[text]
		reserving = b.inviteFor(text, b.o.Now())
		if n == nil && reserving == nil {
			return Entry{}, nil, refuse(hub.CodeNotFound, "no such name")
		}
		e, facts := Entry{By: by, Op: "name freed", Name: text}, []Fact(nil)
		if n != nil {
			e.Node, facts = n.Node, n.deletion()
		}
		if reserving != nil {
			e.What, facts = reserving.Key.String(), append(facts, Fact{Key: inviteKey(reserving.Key)})
		}
		return e, facts, nil
	}, func() {
		b.forget(text)
		if reserving != nil {
			delete(b.facts.invites, reserving.Key)
		}
	})
}

// AddBan keeps a node id, an address or a network out. Nodes that are connected are
// disconnected if the ban names their id.
func (b *Broker) AddBan(by, what string) error {
	var ban *Ban
	return b.change(func() (Entry, []Fact, error) {
		text, err := banText(what)
		if err != nil {
			return Entry{}, nil, &Refusal{hub.CodeBadEvent, err}
		}
		if len(b.facts.bans) >= MaxBans {
			return Entry{}, nil, refuse(hub.CodeLimit, "the hub has %d bans", MaxBans)
		}
		ban = &Ban{text, by, b.o.Now().UTC()}
		f, err := fact(banKey(text), ban)
		return Entry{By: by, Op: "ban", What: text}, []Fact{f}, err
	}, func() {
		b.facts.bans[ban.What] = ban
		b.expel()
	})
}

// RemoveBan ends a ban.
func (b *Broker) RemoveBan(by, what string) error {
	text, err := banText(what)
	if err != nil {
		return &Refusal{hub.CodeBadEvent, err}
	}
	return b.change(func() (Entry, []Fact, error) {
		if b.facts.bans[text] == nil {
			return Entry{}, nil, refuse(hub.CodeNotFound, "no such ban")
		}
		return Entry{By: by, Op: "ban removed", What: text}, []Fact{{Key: banKey(text)}}, nil
	}, func() { delete(b.facts.bans, text) })
}

func banText(what string) (string, error) {
	if strings.HasPrefix(what, "mk1") {
		id, err := identity.ParseID(what)
		return id.String(), err
	}
	p, err := parseNetwork(what)
	return p.String(), err
}

// EndSession ends an open session of a node, of any node if that is zero, and tells both
// ends.
func (b *Broker) EndSession(node identity.ID, id hub.ID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sessions[id]
	if s == nil || !s.has(node) {
		return refuse(hub.CodeNotFound, "no such session")
	}
	if s.accepted {
		reason := "ended by an admin"
		if node != (identity.ID{}) {
			reason = "ended by one of its ends"
		}
		closed := &hub.Closed{Session: id, Reason: reason}
		b.send(b.clients[s.dialer], hub.TypeClosed, nil, closed)
		b.send(b.clients[s.listener], hub.TypeClosed, nil, closed)
		b.end(s)
	} else {
		b.tellAsked(s, hub.TypeCancelled)
		b.endDeclined(s, hub.CodeDenied)
	}
	b.flush()
	return nil
}

// Log returns entries of the log, as [Store.Log] does.
func (b *Broker) Log(after uint64, limit int) ([]Entry, error) { return b.store.Log(after, limit) }

// Count is how much of each kind a hub holds now; members that hub_access lists and
// removed ones do not count.
type Count struct {
	// Connections are all that are logged in, also those that were lost a moment ago;
	// Online are those that are there.
	Connections, Online                    int
	Sessions, Names, Members, Rooms, Codes int
	// Draining says that the hub takes no more logins.
	Draining bool
}

// Draining reports whether the hub takes no more logins.
func (b *Broker) Draining() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.draining
}

// Count returns the numbers for metrics and status.
func (b *Broker) Count() Count {
	b.mu.Lock()
	defer b.mu.Unlock()
	members := 0
	for _, m := range b.facts.members {
		if m.Removed.IsZero() {
			members++
		}
	}
	online := 0
	for _, c := range b.clients {
		if c.out != nil {
			online++
		}
	}
	return Count{
		Connections: len(b.clients), Online: online, Sessions: len(b.sessions), Names: len(b.facts.names), Members: members,
		Rooms: len(b.rooms), Codes: len(b.codes.boxes), Draining: b.draining,
	}
}
