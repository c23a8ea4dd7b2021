package node

import (
	"context"
	"strings"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
)

// Presence is what a hub says about who is there: the nodes of a room, or one peer.
type Presence struct {
	Room  []hub.RoomPeer
	Peer  *hub.Peer // nil for a room
	AtHub hub.URL
}

// Who asks the hubs who is in a room, or where a peer is. A word that is both stands for
// the room.
func (n *Node) Who(ctx context.Context, text string) (Presence, error) {
	if len(n.options.Hubs) == 0 {
		return Presence{}, proto.Hint(proto.Errorf(proto.Usage, "this node has no hub"), "mesh-hub join INVITE uses one")
	}
	room := strings.ToLower(text)
	if hub.CheckRoom(room) != nil {
		room = ""
	}
	p, err := n.Peer(ctx, PeerText{Text: text})
	if err != nil && room == "" {
		return Presence{}, err
	}
	to, host := p.ID.String(), ""
	if p.hub != nil {
		to, host = p.hub.to, p.hub.host
	}
	h := n.openHubs(n.hubsOf(host), false, nil)
	defer h.close()
	return h.who(ctx, room, to, err == nil)
}

// who asks one hub after the other, until one knows the room, or knows the peer to be online
// as a dial needs it. If it is offline at each, the first answer counts.
func (h *hubs) who(ctx context.Context, room, to string, isPeer bool) (got Presence, err error) {
	offline := false
	for i, a := range h.agents {
		p, failed := whoAt(ctx, a, room, to, isPeer)
		switch {
		case failed == nil && (p.Peer == nil || p.Peer.Online):
			p.AtHub = h.urls[i]
			return p, nil
		case failed == nil && !offline:
			got, offline = p, true
			got.AtHub = h.urls[i]
		case failed != nil && (err == nil || proto.CodeOf(err) == proto.Unreachable):
			err = failed
		}
		if ctx.Err() != nil || failed != nil && !asksNext(failed) {
			break
		}
	}
	if offline {
		return got, nil
	}
	return got, err
}

func whoAt(ctx context.Context, a *agent.Agent, room, to string, isPeer bool) (got Presence, err error) {
	if room != "" {
		got.Room, err = a.ListRoom(ctx, room)
		unknown := agent.CodeOf(err) == hub.CodeNotFound || agent.CodeOf(err) == hub.CodeUnsupported
		if err == nil || !unknown || !isPeer {
			return got, err
		}
	}
	p, err := a.Lookup(ctx, to)
	got.Peer = &p
	return got, err
}
