package broker

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"mesh/proto/hub"
	"mesh/proto/identity"
)

// room is a word that nodes have joined. It is there while a node is in it.
type room struct {
	name     string
	members  map[identity.ID]*roomMember
	watchers map[*client]bool // true: missed a change, and must be told that
	rev      uint64
	// changed are the nodes that the watchers are to be told of, each with the reason if
	// it left. A node that left and came back is told as joined.
	changed map[identity.ID]string
	last    hub.Event // the last change that was told
}

// roomMember is a node in a room: those of its connections that have joined.
type roomMember struct {
	since time.Time
	conns []*client
}

// maxPageBytes bounds the list of nodes in one event, in which a node has up to peerBytes
// beside its vouchers.
const (
	maxPageBytes = hub.MaxEventBytes - 8<<10
	peerBytes    = 400
)

// joinRoom puts a connection into a room, and answers with the nodes there.
func (b *Broker) joinRoom(c *client, e hub.Event, now time.Time) (hub.Event, error) {
	var j hub.RoomJoin
	if err := read(e, &j); err != nil {
		return hub.Event{}, err
	}
	r := b.rooms[j.Room]
	if r == nil {
		r = &room{name: j.Room, members: map[identity.ID]*roomMember{}, watchers: map[*client]bool{}, changed: map[identity.ID]string{}}
	}
	if err := b.mayJoin(c, r, j.Watch); err != nil {
		return hub.Event{}, err
	}
	b.rooms[r.name] = r
	m := r.members[c.node]
	if m == nil {
		m = &roomMember{since: now}
		r.members[c.node] = m
	}
	if !c.rooms[r.name] {
		c.rooms[r.name] = true
		m.conns = append(m.conns, c)
		b.changedIn(r, c.node, "")
	}
	if delete(r.watchers, c); j.Watch {
		r.watchers[c] = false
	}
	return b.page(r, identity.ID{}, now)
}

// mayJoin checks the name of the room and the limits.
func (b *Broker) mayJoin(c *client, r *room, watch bool) error {
	if err := hub.CheckRoom(r.name); err != nil {
		return &Refusal{hub.CodeBadName, err}
	}
	_, watches := r.watchers[c]
	switch {
	case !c.rooms[r.name] && len(c.rooms) >= hub.MaxRooms:
		return refuse(hub.CodeLimit, "a connection is in at most %d rooms", hub.MaxRooms)
	case len(r.members) == 0 && len(b.rooms) >= MaxRooms:
		return refuse(hub.CodeLimit, "the hub has %d rooms", MaxRooms)
	case r.members[c.node] == nil && len(r.members) >= MaxRoomMembers:
		return refuse(hub.CodeLimit, "a room has at most %d members", MaxRoomMembers)
	case watch && !watches && len(r.watchers) >= MaxRoomWatchers:
		return refuse(hub.CodeLimit, "a room has at most %d watchers", MaxRoomWatchers)
	}
	return nil
}

// leaveRoom handles room.leave. A room that the connection is not in is left already.
func (b *Broker) leaveRoom(c *client, e hub.Event) error {
	var l hub.RoomLeave
	if err := read(e, &l); err != nil {
		return err
	}
	b.dropRoom(c, l.Room, hub.ReasonLeave)
	return nil
}

// dropRoom takes a connection out of a room; its node, if that has no other one there.
func (b *Broker) dropRoom(c *client, name, reason string) {
	r := b.rooms[name]
	if r == nil || !c.rooms[name] {
		return
	}
	delete(c.rooms, name)
	delete(r.watchers, c)
	m := r.members[c.node]
	m.conns = slices.DeleteFunc(m.conns, func(o *client) bool { return o == c })
	if len(m.conns) == 0 {
		delete(r.members, c.node)
	}
	b.changedIn(r, c.node, reason)
	if len(r.members) == 0 {
		delete(b.rooms, name)
		delete(b.changed, r)
	}
}

// listRoom handles the question of room.peers.
func (b *Broker) listRoom(c *client, e hub.Event, now time.Time) (hub.Event, error) {
	var l hub.RoomList
	if err := read(e, &l); err != nil {
		return hub.Event{}, err
	}
	if !c.lookups.take(now, lookupRate) {
		return hub.Event{}, refuse(hub.CodeRateLimited, "more than 10 lookups a second")
	}
	r := b.rooms[l.Room]
	if r == nil || !b.seesRoom(c.node, r) {
		return hub.Event{}, errNoRoom()
	}
	return b.page(r, l.After, now)
}

func errNoRoom() error { return refuse(hub.CodeNotFound, "nobody is in that room") }

// page returns the nodes of a room behind one.
func (b *Broker) page(r *room, after identity.ID, now time.Time) (hub.Event, error) {
	var ids []identity.ID
	for id := range r.members {
		if bytes.Compare(id[:], after[:]) > 0 {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(x, y identity.ID) int { return bytes.Compare(x[:], y[:]) })
	p := &hub.RoomPeers{Rev: r.rev, Peers: []hub.RoomPeer{}}
	if len(ids) > hub.MaxRoomPage {
		ids = ids[:hub.MaxRoomPage]
		p.Next = ids[len(ids)-1]
	}
	size := 0
	for i, id := range ids {
		one := b.roomPeer(r, id, now)
		if size += peerBytes + len(strings.Join(one.Vouchers, "")); size > maxPageBytes {
			p.Next = ids[i-1]
			break
		}
		p.Peers = append(p.Peers, one)
	}
	return hub.New(hub.TypeRoomPeers, p)
}

// roomPeer returns a node as a room shows it; of one that has left, the id.
func (b *Broker) roomPeer(r *room, id identity.ID, now time.Time) hub.RoomPeer {
	p := hub.RoomPeer{Node: id}
	m := r.members[id]
	if m == nil {
		return p
	}
	p.Name, p.SinceS, p.Vouchers = b.nameIn(m), seconds(now.Sub(m.since)), b.vouchersOf(id)
	for _, c := range m.conns {
		for _, k := range c.kinds {
			if !slices.Contains(p.Kinds, k) {
				p.Kinds = append(p.Kinds, k)
			}
		}
	}
	return p
}

// nameIn returns the name under which a room shows a node: a lasting one of its connections
// there, since others come and go.
func (b *Broker) nameIn(m *roomMember) string {
	for _, c := range m.conns {
		for _, n := range c.names {
			if n.Lasting {
				return n.Name.Name
			}
		}
	}
	return b.nameOf(m.conns[0])
}

// sees reports whether a viewer may know of a node: always, or with [Options.RoomsOnly] if
// the two nodes share a room. The zero viewer sees all nodes.
func (b *Broker) sees(viewer, node identity.ID) bool {
	if !b.o.RoomsOnly || viewer == node || viewer == (identity.ID{}) {
		return true
	}
	for _, own := range b.nodes[viewer] {
		for name := range own.rooms {
			if b.rooms[name].members[node] != nil {
				return true
			}
		}
	}
	return false
}

// refresh tells the watchers of a client's rooms what it is now.
func (b *Broker) refresh(c *client) {
	for name := range c.rooms {
		b.changedIn(b.rooms[name], c.node, "")
	}
}

// changedIn notes a change for the watchers of a room.
func (b *Broker) changedIn(r *room, node identity.ID, reason string) {
	if len(r.watchers) == 0 {
		return
	}
	if len(b.changed) == 0 {
		b.tellAt = b.o.Now().Add(GatherFor)
	}
	r.changed[node] = reason
	b.changed[r] = true
}

// tellRooms tells the watchers what has changed in their rooms. A watcher is told
// [MaxTold] changes at a time. Where more are due, it is told the last change of a room
// alone, whose rev shows that it has missed others.
func (b *Broker) tellRooms(now time.Time) {
	if len(b.changed) == 0 || now.Before(b.tellAt) {
		return
	}
	told := make(map[*client]int)
	for r := range b.changed {
		if b.tellRoom(r, told, now) {
			delete(b.changed, r)
		}
	}
	b.tellAt = now.Add(GatherFor)
}

// tellRoom reports whether all watchers of the room were told something.
func (b *Broker) tellRoom(r *room, told map[*client]int, now time.Time) (all bool) {
	changes := b.changes(r, now)
	all = true
	for w, missed := range r.watchers {
		list := changes
		if missed || len(changes) > MaxTold-told[w] {
			list = []hub.Event{r.last}
		}
		if len(list) > MaxTold-told[w] {
			r.watchers[w], all = true, false
			continue
		}
		r.watchers[w] = false
		told[w] += len(list)
		for _, e := range list {
			b.outbox = append(b.outbox, sending{w, e})
		}
	}
	return all
}

// changes returns the events for what has changed in a room, each with a rev of its own.
func (b *Broker) changes(r *room, now time.Time) (list []hub.Event) {
	for id, reason := range r.changed {
		r.rev++
		typ, c := hub.TypeRoomJoined, hub.RoomChange{Room: r.name, Rev: r.rev, Peer: b.roomPeer(r, id, now)}
		if r.members[id] == nil {
			typ, c.Reason = hub.TypeRoomLeft, reason
		}
		e, err := hub.New(typ, &c)
		if err != nil {
			b.log("event is not sent", "type", typ, "err", err)
			continue
		}
		list = append(list, e)
		r.last = e
	}
	clear(r.changed)
	return list
}
