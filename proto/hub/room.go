package hub

import (
	"errors"
	"fmt"

	"mesh/proto/identity"
)

// Why a node is no longer in a room: it left, its connection was lost, or it is no longer
// a member of the hub.
const (
	ReasonLeave   = "leave"
	ReasonLost    = "lost"
	ReasonRemoved = "removed"
)

// RoomJoin (client) enters a room, which begins with its first node. With Watch, the hub
// tells this connection who joins and who leaves. A connection that joins again changes
// Watch alone.
type RoomJoin struct {
	Room  string `json:"room"`
	Watch bool   `json:"watch,omitzero"`
}

// RoomLeave (client) leaves a room, which ends with its last node.
type RoomLeave struct {
	Room string `json:"room"`
}

// RoomList (client) asks who is in a room: for the first nodes in the order of their ids,
// or for those behind After, the Next of a [RoomPeers].
type RoomList struct {
	Room  string      `json:"room"`
	After identity.ID `json:"after,omitzero"`
}

// RoomPeers (hub) answers [RoomJoin] and [RoomList]. Rev counts the changes that the
// watchers of the room were told. Next is set if more nodes follow.
type RoomPeers struct {
	Rev   uint64      `json:"rev"`
	Peers []RoomPeer  `json:"peers"`
	Next  identity.ID `json:"next,omitzero"`
}

// RoomPeer is a node in a room. Kinds are what its connections in the room take; SinceS
// is how long it is there.
type RoomPeer struct {
	Node     identity.ID `json:"node"`
	Name     string      `json:"name,omitzero"`
	Kinds    []Kind      `json:"kinds,omitzero"`
	SinceS   uint32      `json:"since_s"`
	Vouchers []string    `json:"vouchers,omitzero"`
}

// RoomChange (hub, to the watchers of a room) is the data of room.joined and room.left.
// A node that has joined replaces what was known of it. Reason is set in room.left. A
// watcher that misses a Rev asks for the list again.
type RoomChange struct {
	Room   string   `json:"room"`
	Rev    uint64   `json:"rev"`
	Peer   RoomPeer `json:"peer"`
	Reason string   `json:"reason,omitzero"`
}

// check leaves the room to the hub, whose answer is "bad_name".
func (r *RoomJoin) check() error { return checkText("room", r.Room, MaxTextBytes) }

func (r *RoomLeave) check() error { return checkText("room", r.Room, MaxTextBytes) }

func (r *RoomList) check() error { return checkText("room", r.Room, MaxTextBytes) }

func (r *RoomPeers) check() error {
	if len(r.Peers) > MaxRoomPage {
		return fmt.Errorf("%d peers, the limit is %d", len(r.Peers), MaxRoomPage)
	}
	for i := range r.Peers {
		if err := r.Peers[i].check(); err != nil {
			return err
		}
	}
	return nil
}

func (p *RoomPeer) check() error {
	return errors.Join(checkKey("node", p.Node), checkText("name", p.Name, MaxTextBytes), checkKinds(p.Kinds), checkVouchers(p.Vouchers))
}

func (r *RoomChange) check() error {
	return errors.Join(checkText("room", r.Room, MaxTextBytes), r.Peer.check(), checkText("reason", r.Reason, MaxTextBytes))
}
