package agent

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/identity"
)

// maxChanges bounds the changes of a room that wait to be handled; beyond it the room is
// listed again.
const maxChanges = 256

// listPause is the least wait before a room is listed again.
const listPause = time.Second

// maxRoomPages bounds the pages that a hub sends for one room.
const maxRoomPages = 200

// ListRoom asks the hub who is in a room.
func (a *Agent) ListRoom(ctx context.Context, room string) ([]hub.RoomPeer, error) {
	c, err := a.ready(ctx, false)
	if err != nil {
		return nil, err
	}
	return c.ListRoom(ctx, room)
}

// ListRoom asks the hub who is in a room.
func (c *Conn) ListRoom(ctx context.Context, room string) ([]hub.RoomPeer, error) {
	first, err := c.roomPeers(ctx, hub.TypeRoomPeers, &hub.RoomList{Room: room})
	if err != nil {
		return nil, err
	}
	return c.pages(ctx, room, first)
}

// pages returns the nodes of a first page and of those that follow.
func (c *Conn) pages(ctx context.Context, room string, page hub.RoomPeers) ([]hub.RoomPeer, error) {
	all := page.Peers
	for n := 1; page.Next != (identity.ID{}); n++ {
		after := page.Next
		next, err := c.roomPeers(ctx, hub.TypeRoomPeers, &hub.RoomList{Room: room, After: after})
		if CodeOf(err) == hub.CodeRateLimited && n < maxRoomPages {
			if err := pauseFor(ctx, max(listPause, RetryAfter(err))); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if page = next; n >= maxRoomPages || page.Next != (identity.ID{}) && bytes.Compare(page.Next[:], after[:]) <= 0 {
			return nil, proto.Errorf(proto.Protocol, "the hub lists a room without end")
		}
		all = append(all, page.Peers...)
	}
	return all, nil
}

func (c *Conn) roomPeers(ctx context.Context, typ string, ask hub.Data) (hub.RoomPeers, error) {
	var p hub.RoomPeers
	e, err := c.Call(ctx, typ, ask)
	if err != nil {
		return p, err
	}
	if e.Type != hub.TypeRoomPeers {
		return p, proto.Errorf(proto.Protocol, "the hub answers %s with %s", typ, proto.QuoteText(e.Type))
	}
	if err := e.Read(&p); err != nil {
		return p, &proto.Error{Code: proto.Protocol, Err: err}
	}
	return p, nil
}

// roomWatch collects what the hub tells about a room.
type roomWatch struct {
	room    string
	changes []hub.RoomChange
	missed  bool          // a change was dropped
	more    chan struct{} // buffered: something has come
}

// errMissed says that a change of a room is missing.
var errMissed = errors.New("a change of the room is missing")

// WatchRoom joins a room and calls tell with the nodes in it, sorted by their ids: at first
// and after each change, until ctx ends. It joins again after each login. Where a change is
// missing, it asks for the list again. In the end it leaves the room, unless that is one of
// [Agent.Rooms]. A room that the hub refuses is an error.
func (a *Agent) WatchRoom(ctx context.Context, room string, tell func([]hub.RoomPeer)) error {
	w := &roomWatch{room: room, more: make(chan struct{}, 1)}
	if !a.beginWatch(w) {
		return proto.Errorf(proto.Usage, "room %s is watched already", proto.QuoteText(room))
	}
	defer a.endWatch(w)
	for {
		c, err := a.ready(ctx, true)
		if err != nil {
			return err
		}
		if err = a.watchOn(ctx, c, w, tell); ctx.Err() != nil {
			a.leaveWatched(ctx, c, room)
			return context.Cause(ctx)
		}
		select {
		case <-c.done:
		default:
			return err
		}
		a.left(ctx, c)
	}
}

func (a *Agent) beginWatch(w *roomWatch) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.watches[w.room] != nil {
		return false
	}
	a.watches[w.room] = w
	return true
}

func (a *Agent) endWatch(w *roomWatch) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.watches, w.room)
}

// leaveWatched ends a watch at the hub.
func (a *Agent) leaveWatched(ctx context.Context, c *Conn, room string) {
	a.announcing.Lock()
	stays := slices.Contains(a.Rooms, room)
	a.announcing.Unlock()
	ctx = context.WithoutCancel(ctx)
	if stays {
		_ = c.write(ctx, hub.TypeRoomJoin, "", &hub.RoomJoin{Room: room})
		return
	}
	_ = c.write(ctx, hub.TypeRoomLeave, "", &hub.RoomLeave{Room: room})
}

// watchOn watches a room on one connection.
func (a *Agent) watchOn(ctx context.Context, c *Conn, w *roomWatch, tell func([]hub.RoomPeer)) error {
	a.takeChanges(w) // of an earlier connection
	typ, ask := hub.TypeRoomJoin, hub.Data(&hub.RoomJoin{Room: w.room, Watch: true})
	for {
		page, err := c.roomPeers(ctx, typ, ask)
		var list []hub.RoomPeer
		if err == nil {
			typ, ask = hub.TypeRoomPeers, &hub.RoomList{Room: w.room}
			list, err = c.pages(ctx, w.room, page)
		}
		if err == nil {
			err = a.follow(ctx, c, w, page.Rev, list, tell)
		}
		if !errors.Is(err, errMissed) && CodeOf(err) != hub.CodeRateLimited {
			return err
		}
		if err := pauseFor(ctx, max(listPause, RetryAfter(err))); err != nil {
			return err
		}
		a.takeChanges(w) // the list has them
	}
}

// pauseFor waits, unless ctx ends before.
func pauseFor(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// follow applies the changes that come after a list, until one is missing.
func (a *Agent) follow(ctx context.Context, c *Conn, w *roomWatch, rev uint64, list []hub.RoomPeer, tell func([]hub.RoomPeer)) error {
	peers := make(map[identity.ID]hub.RoomPeer)
	for _, p := range list {
		peers[p.Node] = p
	}
	tell(sortedPeers(peers))
	for {
		select {
		case <-w.more:
		case <-c.done:
			return lost(c.err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		changes, missed := a.takeChanges(w)
		for _, change := range changes {
			switch {
			case change.Rev <= rev: // is in the list
			case change.Rev != rev+1:
				missed = true
			case change.Reason != "":
				delete(peers, change.Peer.Node)
				rev++
			case len(peers) >= maxRoomPages*hub.MaxRoomPage:
				return proto.Errorf(proto.Protocol, "the hub fills a room without end")
			default:
				peers[change.Peer.Node] = change.Peer
				rev++
			}
		}
		if missed {
			return errMissed
		}
		tell(sortedPeers(peers))
	}
}

func sortedPeers(peers map[identity.ID]hub.RoomPeer) []hub.RoomPeer {
	return slices.SortedFunc(maps.Values(peers), func(x, y hub.RoomPeer) int { return bytes.Compare(x.Node[:], y.Node[:]) })
}

// roomChanged notes a change for the watcher of its room.
func (a *Agent) roomChanged(e hub.Event) {
	var change hub.RoomChange
	if e.Read(&change) != nil {
		return
	}
	if e.Type == hub.TypeRoomJoined {
		change.Reason = ""
	} else if change.Reason == "" {
		change.Reason = hub.ReasonLeave
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.watches[change.Room]
	if w == nil {
		return
	}
	if len(w.changes) < maxChanges {
		w.changes = append(w.changes, change)
	} else {
		w.missed = true
	}
	select {
	case w.more <- struct{}{}:
	default:
	}
}

func (a *Agent) takeChanges(w *roomWatch) (changes []hub.RoomChange, missed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	changes, missed = w.changes, w.missed
	w.changes, w.missed = nil, false
	return changes, missed
}
