package broker

import (
	"slices"
	"time"

	"mesh/proto/hub"
	"mesh/proto/identity"
)

// Page is a part of a list: up to Limit elements that come after the element with the key
// After, which the answer to the part before names. Limit is at least 1.
type Page struct {
	After string
	Limit int
}

// list returns a part of a list, and the key of its last element if more follow. The lock
// is free while the keys are sorted, so that a long list holds nobody up. Keys says the
// keys, in any order; get returns the element of a key that is still there.
func list[T any](b *Broker, p Page, keys func(say func(string)), get func(key string) (T, bool)) (part []T, next string) {
	var all []string
	b.mu.Lock()
	keys(func(k string) {
		if k > p.After {
			all = append(all, k)
		}
	})
	b.mu.Unlock()
	slices.Sort(all)
	if len(all) > p.Limit {
		all = all[:p.Limit]
		next = all[p.Limit-1]
	}
	part = make([]T, 0, len(all))
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range all {
		if v, ok := get(k); ok {
			part = append(part, v)
		}
	}
	return part, next
}

// idOf returns the id at the end of a key.
func idOf(key string) identity.ID { return identity.ID([]byte(key[len(key)-len(identity.ID{}):])) }

// nameless begins the keys of the nodes without a name: they stand after all names.
const nameless = "\xff"

// PeerQuery selects the peers that a viewer may know of; the zero viewer knows of all.
// Kind, unless it is "", selects those that take the kind now, Room those in the room, and
// Online those with any connection.
type PeerQuery struct {
	Page
	Viewer identity.ID
	Online bool
	Kind   hub.Kind
	Room   string
}

// selects reports whether the query selects what was found.
func (b *Broker) selects(q PeerQuery, f found) bool {
	kind := q.Kind
	if kind == "" && q.Online {
		kind = hub.KindPing
	}
	if r := b.rooms[q.Room]; q.Room != "" && (r == nil || r.members[f.node] == nil) {
		return false
	}
	return (kind == "" || b.newest(f, kind) != nil) && b.sees(q.Viewer, f.node)
}

// Peers returns what a lookup shows of each name, and of each node that is online without
// one.
func (b *Broker) Peers(q PeerQuery) (part []hub.Peer, next string) {
	now := b.o.Now()
	keys := func(say func(string)) {
		for key, n := range b.facts.names {
			if n.told(now) && b.isMember(n.Node, now) && b.selects(q, found{n.Node, n}) {
				say(key)
			}
		}
		for node := range b.nodes {
			if b.nameOfNode(node) == "" && b.selects(q, found{node: node}) {
				say(nameless + string(node[:]))
			}
		}
	}
	get := func(key string) (hub.Peer, bool) {
		if key[:1] == nameless {
			node := idOf(key)
			return *b.peer(found{node: node}, now), len(b.nodes[node]) > 0
		}
		if n := b.facts.names[key]; n != nil {
			return *b.peer(found{n.Node, n}, now), true
		}
		return hub.Peer{}, false
	}
	return list(b, q.Page, keys, get)
}

// NameOf returns a name of the node: one under which it is online, else that of its
// invite; "" if it has none.
func (b *Broker) NameOf(node identity.ID) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.nameOf(&client{party: party{node: node}})
}

// nameOfNode returns a name that one of the node's connections has.
func (b *Broker) nameOfNode(node identity.ID) string {
	for _, c := range b.nodes[node] {
		if len(c.names) > 0 {
			return c.names[0].Name.Name
		}
	}
	return ""
}

// Peer returns what a lookup by the viewer shows of a name, room/name or node id.
func (b *Broker) Peer(viewer identity.ID, peer string) (hub.Peer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.o.Now()
	f, err := b.find(viewer, peer, now)
	if err != nil {
		return hub.Peer{}, err
	}
	return *b.peer(f, now), nil
}

// NameState is a name and whether it is online.
type NameState struct {
	Name
	Connected bool `json:"connected"`
}

// Names returns the names that are told to the viewer, by name.
func (b *Broker) Names(viewer identity.ID, p Page) (part []NameState, next string) {
	now := b.o.Now()
	return list(b, p, func(say func(string)) {
		for key, n := range b.facts.names {
			if n.told(now) && b.sees(viewer, n.Node) {
				say(key)
			}
		}
	}, func(key string) (NameState, bool) {
		n := b.facts.names[key]
		if n == nil {
			return NameState{}, false
		}
		return NameState{n.Name, len(n.holders) > 0}, true
	})
}

// RoomState is a room with the number of nodes in it.
type RoomState struct {
	Room  string `json:"room"`
	Peers int    `json:"peers"`
}

// Rooms returns the rooms with somebody in them, by name; with [Options.RoomsOnly] those
// of the viewer.
func (b *Broker) Rooms(viewer identity.ID, p Page) (part []RoomState, next string) {
	return list(b, p, func(say func(string)) {
		for key, r := range b.rooms {
			if b.seesRoom(viewer, r) {
				say(key)
			}
		}
	}, func(key string) (RoomState, bool) {
		r := b.rooms[key]
		if r == nil {
			return RoomState{}, false
		}
		return RoomState{key, len(r.members)}, true
	})
}

// seesRoom reports whether a viewer may know who is in a room.
func (b *Broker) seesRoom(viewer identity.ID, r *room) bool {
	return !b.o.RoomsOnly || viewer == (identity.ID{}) || r.members[viewer] != nil
}

// RoomPeers returns the nodes in a room, by node id.
func (b *Broker) RoomPeers(viewer identity.ID, name string, p Page) (part []hub.RoomPeer, next string, err error) {
	b.mu.Lock()
	r := b.rooms[name]
	if r == nil || !b.seesRoom(viewer, r) {
		err = errNoRoom()
	}
	b.mu.Unlock()
	if err != nil {
		return nil, "", err
	}
	now := b.o.Now()
	part, next = list(b, p, func(say func(string)) {
		for id := range r.members {
			say(string(id[:]))
		}
	}, func(key string) (hub.RoomPeer, bool) {
		id := idOf(key)
		return b.roomPeer(r, id, now), r.members[id] != nil
	})
	return part, next, nil
}

// Members returns all members of the store, the removed ones too.
func (b *Broker) Members(p Page) (part []Member, next string) {
	return list(b, p, func(say func(string)) {
		for id := range b.facts.members {
			say(string(id[:]))
		}
	}, func(key string) (Member, bool) {
		m := b.facts.members[idOf(key)]
		if m == nil {
			return Member{}, false
		}
		return *m, true
	})
}

// Invites returns the open invites, the oldest first.
func (b *Broker) Invites(p Page) (part []Invite, next string) {
	now := b.o.Now()
	return list(b, p, func(say func(string)) {
		for id, i := range b.facts.invites {
			if i.open(now) {
				say(i.Made.UTC().Format(time.RFC3339) + string(id[:]))
			}
		}
	}, func(key string) (Invite, bool) {
		i := b.facts.invites[idOf(key)]
		if i == nil {
			return Invite{}, false
		}
		return *i, true
	})
}

// Bans returns the bans of the store.
func (b *Broker) Bans(p Page) (part []Ban, next string) {
	return list(b, p, func(say func(string)) {
		for what := range b.facts.bans {
			say(what)
		}
	}, func(key string) (Ban, bool) {
		ban := b.facts.bans[key]
		if ban == nil {
			return Ban{}, false
		}
		return *ban, true
	})
}

// Tokens returns the lasting API tokens without their hashes, by id.
func (b *Broker) Tokens(p Page) (part []Token, next string) {
	return list(b, p, func(say func(string)) {
		for id := range b.facts.tokens {
			say(id)
		}
	}, func(key string) (Token, bool) {
		t := b.facts.tokens[key]
		if t == nil {
			return Token{}, false
		}
		shown := *t
		shown.Hash = nil
		return shown, true
	})
}

// SessionState is an open session, without its content. AgeS counts from its request.
type SessionState struct {
	Session  hub.ID      `json:"session"`
	Dialer   identity.ID `json:"dialer"`
	Listener identity.ID `json:"listener"`
	Kind     hub.Kind    `json:"kind"`
	State    string      `json:"state"`
	AgeS     uint32      `json:"age_s"`
	EndsS    uint32      `json:"ends_s"`
}

// has reports whether the node is an end of the session. The zero node means any.
func (s *session) has(node identity.ID) bool {
	return node == (identity.ID{}) || s.dialer.node == node || s.node == node
}

func (s *session) state() string {
	switch {
	case s.accepted:
		return "accepted"
	case s.waits:
		return "waiting"
	case s.pending:
		return "pending"
	}
	return "asked"
}

// Sessions returns the open sessions of a node, by id; with the zero node those of all.
func (b *Broker) Sessions(node identity.ID, p Page) (part []SessionState, next string) {
	now := b.o.Now()
	return list(b, p, func(say func(string)) {
		for id, s := range b.sessions {
			if s.has(node) {
				say(string(id[:]))
			}
		}
	}, func(key string) (SessionState, bool) {
		id := hub.ID([]byte(key))
		s := b.sessions[id]
		if s == nil {
			return SessionState{}, false
		}
		return SessionState{
			id, s.dialer.node, s.node, s.request.Kind, s.state(),
			seconds(now.Sub(s.began)), seconds(s.deadline.Sub(now)),
		}, true
	})
}
