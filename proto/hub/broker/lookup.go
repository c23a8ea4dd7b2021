package broker

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"mesh/proto/hub"
	"mesh/proto/identity"
)

// nameOf returns the name under which a client is shown to others: one of its own, one
// of its node's, or that of its invite.
func (b *Broker) nameOf(c *client) string {
	if len(c.names) > 0 {
		return c.names[0].Name.Name
	}
	for _, o := range b.nodes[c.node] {
		if len(o.names) > 0 {
			return o.names[0].Name.Name
		}
	}
	if m := b.facts.members[c.node]; m != nil && m.Name != "" && b.facts.names[m.Name] != nil && b.facts.names[m.Name].Node == c.node {
		return m.Name
	}
	return ""
}

// found is what a PEER stands for.
type found struct {
	node identity.ID
	name *name // nil if it was asked by id
}

// find resolves a name, room/name or a node id for a node, which may not see all others.
func (b *Broker) find(viewer identity.ID, peer string, now time.Time) (found, error) {
	missing := refuse(hub.CodeNotFound, "no such peer")
	if strings.HasPrefix(peer, "mk1") {
		id, err := identity.ParseID(peer)
		if err != nil {
			return found{}, &Refusal{hub.CodeBadEvent, err}
		}
		if !b.isMember(id, now) && len(b.nodes[id]) == 0 || !b.sees(viewer, id) {
			return found{}, missing
		}
		return found{node: id}, nil
	}
	in, text, inRoom := strings.Cut(peer, "/")
	if !inRoom {
		text = peer
	}
	n := b.facts.names[text]
	if n == nil || !n.told(now) || !b.isMember(n.Node, now) || !b.sees(viewer, n.Node) {
		return found{}, missing
	}
	if r := b.rooms[in]; inRoom && (r == nil || r.members[n.Node] == nil || b.o.RoomsOnly && r.members[viewer] == nil) {
		return found{}, missing
	}
	return found{n.Node, n}, nil
}

// newest returns the newest connection that takes the kind, or nil.
func (b *Broker) newest(f found, kind hub.Kind) *client {
	if f.name != nil {
		for _, h := range slices.Backward(f.name.holders) {
			if kind == hub.KindPing || slices.Contains(h.kinds, kind) {
				return h.c
			}
		}
		return nil
	}
	for _, c := range slices.Backward(b.nodes[f.node]) {
		if kind == hub.KindPing || slices.Contains(c.kinds, kind) {
			return c
		}
	}
	return nil
}

// lookup answers with the key of a peer, and whether it is online.
func (b *Broker) lookup(c *client, e hub.Event, now time.Time) (hub.Event, error) {
	var l hub.Lookup
	if err := read(e, &l); err != nil {
		return hub.Event{}, err
	}
	if !c.lookups.take(now, lookupRate) {
		return hub.Event{}, refuse(hub.CodeRateLimited, "more than 10 lookups a second")
	}
	f, err := b.find(c.node, l.Peer, now)
	if err != nil {
		return hub.Event{}, err
	}
	return hub.New(hub.TypePeer, b.peer(f, now))
}

func (b *Broker) peer(f found, now time.Time) *hub.Peer {
	p := &hub.Peer{Node: f.node, Vouchers: b.vouchersOf(f.node)}
	add := func(c *client, kinds []hub.Kind) {
		p.Online = true
		p.SinceS = max(p.SinceS, seconds(now.Sub(c.since)))
		for _, k := range kinds {
			if !slices.Contains(p.Kinds, k) {
				p.Kinds = append(p.Kinds, k)
			}
		}
	}
	if f.name == nil {
		for _, c := range b.nodes[f.node] {
			add(c, c.kinds)
			p.Name = cmp.Or(p.Name, b.nameOf(c))
		}
		return p
	}
	p.Name = f.name.Name.Name
	for _, h := range f.name.holders {
		add(h.c, h.kinds)
	}
	if !p.Online {
		p.SinceS = seconds(now.Sub(f.name.Online))
	}
	return p
}

// watch asks to be told when a peer takes a kind; at once if it does so now.
func (b *Broker) watch(c *client, e hub.Event) error {
	var w hub.Watch
	if err := read(e, &w); err != nil {
		return err
	}
	f, err := b.find(c.node, w.Peer, b.o.Now())
	if err != nil {
		return err
	}
	if _, again := c.watches[f.node]; !again && len(c.watches) >= MaxWatches {
		return refuse(hub.CodeLimit, "more than %d watches", MaxWatches)
	}
	c.watches[f.node] = w.Kind
	if b.watchers[f.node] == nil {
		b.watchers[f.node] = map[*client]hub.Kind{}
	}
	b.watchers[f.node][c] = w.Kind
	if at := b.newest(f, w.Kind); at != nil && at.out != nil {
		b.send(c, hub.TypeOnline, nil, &hub.Online{Node: f.node, Name: b.nameOf(at), Kinds: at.kinds})
	}
	return nil
}

// tellOnline tells the watchers of a node which kinds a connection takes now. While there is no
// connection it tells nothing; the next one does.
func (b *Broker) tellOnline(c *client, name string, kinds []hub.Kind) {
	if c.out == nil {
		return
	}
	for w, kind := range b.watchers[c.node] {
		if (kind == hub.KindPing || slices.Contains(kinds, kind)) && b.sees(w.node, c.node) {
			b.send(w, hub.TypeOnline, nil, &hub.Online{Node: c.node, Name: cmp.Or(name, b.nameOf(c)), Kinds: kinds})
		}
	}
}
