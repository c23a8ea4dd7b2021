package broker

import (
	"slices"
	"time"

	"mesh/proto/hub"
	"mesh/proto/identity"
)

// name is a name and the connections that are online under it.
type name struct {
	Name
	// holders are the connections, the newest last.
	holders []holding
	// written is when the store last learnt that the name is online.
	written time.Time
}

type holding struct {
	c     *client
	kinds []hub.Kind
}

// told reports whether a lookup shows the name.
func (n *name) told(now time.Time) bool {
	return len(n.holders) > 0 || now.Before(n.Online.Add(n.life()))
}

// kept reports whether nobody but the owner can take the name.
func (n *name) kept(now time.Time) bool {
	after := n.life()
	if n.Lasting {
		after += KeptFor
	}
	return len(n.holders) > 0 || now.Before(n.Online.Add(after))
}

func (n *name) life() time.Duration {
	if n.Lasting {
		return LastingFor
	}
	return PassingFor
}

// register makes a connection known under a name, and says what became of it.
func (b *Broker) register(c *client, r hub.Register) hub.Registered {
	if r.Name == "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.takes(c, r.Kinds)
		b.tellOnline(c, "", r.Kinds)
		return hub.Registered{}
	}
	got := hub.Registered{Name: r.Name}
	if hub.CheckName(r.Name) != nil {
		return hub.Registered{Name: r.Name, Code: hub.CodeBadName}
	}
	if b.hold(c, r) {
		return got
	}
	var n *name
	err := b.change(func() (Entry, []Fact, error) {
		now := b.o.Now()
		if got = b.mayTake(c.node, r, now); got.Code != "" {
			return Entry{}, nil, errUnchanged
		}
		n = &name{Name: Name{r.Name, c.node, now.UTC(), now.UTC(), r.Lasting}, written: now}
		if old := b.facts.names[r.Name]; old != nil && old.Node == c.node {
			n.Since, n.holders = old.Since, old.holders
		}
		if !r.Lasting {
			return Entry{}, nil, nil
		}
		f, err := fact(nameKey(r.Name), n.Name)
		return Entry{By: c.node.String(), Op: "name", Name: r.Name, Node: c.node}, []Fact{f}, err
	}, func() {
		if old := b.facts.names[r.Name]; old != nil {
			for _, h := range old.holders {
				h.c.names = slices.DeleteFunc(h.c.names, func(o *name) bool { return o == old })
				h.c.names = append(h.c.names, n)
			}
		}
		b.facts.names[r.Name] = n
		b.push(n, c, r.Kinds)
	})
	if err != nil {
		b.log("name is not stored", "name", r.Name, "err", err)
		return hub.Registered{Name: r.Name, Code: hub.CodeInternal}
	}
	return got
}

// hold makes the connection the newest under a name that the node has already.
func (b *Broker) hold(c *client, r hub.Register) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.facts.names[r.Name]
	if n == nil || n.Node != c.node || r.Lasting && !n.Lasting || !n.told(b.o.Now()) {
		return false
	}
	b.push(n, c, r.Kinds)
	b.flush()
	return true
}

// mayTake says whether the node may take a name that it does not have.
func (b *Broker) mayTake(node identity.ID, r hub.Register, now time.Time) hub.Registered {
	got := hub.Registered{Name: r.Name}
	old := b.facts.names[r.Name]
	switch owner := b.reservedFor(r.Name, now); {
	case old != nil && old.Node != node && old.kept(now):
		got.Code, got.SinceS, got.Owner = hub.CodeTaken, seconds(now.Sub(old.Since)), old.Node.Short()
	case owner != nil && *owner != node:
		got.Code = hub.CodeReserved
	case old != nil && old.Node == node:
	case b.countNames(node, now) >= hub.MaxNames || len(b.facts.names) >= MaxNames || !b.newNames.take(now, node):
		got.Code = hub.CodeLimit
	}
	return got
}

// reservedFor returns the node that a name is reserved for: nobody yet (the zero id) if
// an open invite has it, nil if it is not reserved.
func (b *Broker) reservedFor(name string, now time.Time) *identity.ID {
	if id, ok := b.access.reserved[name]; ok {
		return &id
	}
	if b.inviteFor(name, now) != nil {
		return &identity.ID{}
	}
	return nil
}

// inviteFor returns the open invite that reserves a name, or nil.
func (b *Broker) inviteFor(name string, now time.Time) *Invite {
	for _, i := range b.facts.invites {
		if i.Name == name && i.Used < i.Uses && within(i.Expires, now) {
			return i
		}
	}
	return nil
}

func (b *Broker) countNames(node identity.ID, now time.Time) int {
	count := 0
	for _, n := range b.facts.names {
		if n.Node == node && n.told(now) {
			count++
		}
	}
	return count
}

// push makes the connection the newest one under the name.
func (b *Broker) push(n *name, c *client, kinds []hub.Kind) {
	now := b.o.Now()
	n.holders = slices.DeleteFunc(n.holders, func(h holding) bool { return h.c == c })
	if b.clients[c.party] != c { // it has gone meanwhile
		b.drop(n, c, now)
		return
	}
	n.holders = append(n.holders, holding{c, kinds})
	if !slices.Contains(c.names, n) {
		c.names = append(c.names, n)
	}
	b.takes(c, kinds)
	b.touch(n, now)
	b.tellOnline(c, n.Name.Name, kinds)
}

// takes adds to the kinds that a connection takes.
func (b *Broker) takes(c *client, kinds []hub.Kind) {
	for _, k := range kinds {
		if !slices.Contains(c.kinds, k) {
			c.kinds = append(c.kinds, k)
		}
	}
	b.refresh(c)
}

// drop ends what the connection is under the name. A passing name is then free soon.
func (b *Broker) drop(n *name, c *client, now time.Time) {
	n.holders = slices.DeleteFunc(n.holders, func(h holding) bool { return h.c == c })
	if len(n.holders) > 0 {
		return
	}
	b.touch(n, now)
	if !n.Lasting {
		b.timers.at(now.Add(PassingFor), func(now time.Time) {
			if b.facts.names[n.Name.Name] == n && !n.kept(now) {
				delete(b.facts.names, n.Name.Name)
			}
		})
	}
}

// touch notes that the name is online; the store learns it now and then.
func (b *Broker) touch(n *name, now time.Time) {
	n.Online = now.UTC()
	if n.Lasting && now.Sub(n.written) >= TouchEvery {
		b.touched[n.Name.Name] = true
	}
}

// writeTouched stores when names were last online. It is lost without harm.
func (b *Broker) writeTouched() {
	b.mu.Lock()
	none := len(b.touched) == 0
	b.mu.Unlock()
	if none {
		return
	}
	var names []*name
	err := b.change(func() (Entry, []Fact, error) {
		var facts []Fact
		for key := range b.touched {
			n := b.facts.names[key]
			if n == nil || !n.Lasting {
				continue
			}
			f, err := fact(nameKey(key), n.Name)
			if err != nil {
				return Entry{}, nil, err
			}
			facts, names = append(facts, f), append(names, n)
		}
		clear(b.touched)
		return Entry{By: "hub", Op: "online"}, facts, nil
	}, func() {
		for _, n := range names {
			n.written = n.Online
		}
	})
	if err != nil {
		b.log("times of names are not stored", "err", err)
	}
}

// release gives a name of the node back.
func (b *Broker) release(node identity.ID, text string) error {
	return b.change(func() (Entry, []Fact, error) {
		n := b.facts.names[text]
		switch {
		case n == nil || !n.told(b.o.Now()):
			return Entry{}, nil, refuse(hub.CodeNotFound, "no such name")
		case n.Node != node:
			return Entry{}, nil, refuse(hub.CodeDenied, "the name is another node's")
		}
		return Entry{By: node.String(), Op: "release", Name: text, Node: node}, n.deletion(), nil
	}, func() { b.forget(text) })
}

// releaseBy gives a name back for a connection. While another one has it, it stays the
// node's, and that one is asked.
func (b *Broker) releaseBy(c *client, text string) error {
	b.mu.Lock()
	n := b.facts.names[text]
	shared := n != nil && n.Node == c.node && slices.ContainsFunc(n.holders, func(h holding) bool { return h.c != c })
	if shared {
		b.drop(n, c, b.o.Now())
		c.names = slices.DeleteFunc(c.names, func(o *name) bool { return o == n })
		b.refresh(c)
	}
	b.mu.Unlock()
	if shared {
		return nil
	}
	return b.release(c.node, text)
}

// deletion returns the change that deletes the name from the store.
func (n *name) deletion() []Fact {
	if !n.Lasting {
		return nil
	}
	return []Fact{{Key: nameKey(n.Name.Name)}}
}

// forget deletes a name from memory.
func (b *Broker) forget(text string) {
	n := b.facts.names[text]
	if n == nil {
		return
	}
	delete(b.facts.names, text)
	for _, h := range n.holders {
		h.c.names = slices.DeleteFunc(h.c.names, func(o *name) bool { return o == n })
		b.refresh(h.c)
	}
}
