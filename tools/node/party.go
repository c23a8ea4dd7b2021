package node

import (
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/wire"
)

// Party is the peer of a transfer, as events and commands get it.
type Party struct {
	ID       identity.ID     `json:"id"`
	Name     string          `json:"name"` // in the address book, or ""
	Addr     string          `json:"addr"`
	Transfer wire.TransferID `json:"transfer"`
	Via      string          `json:"via"`
	Path     string          `json:"path"`
	// Trust is how sure this node is who the peer is; "" for a stranger with a token.
	Trust Grade `json:"trust"`

	typed string // PEER, if a hub was asked for it by that
	met   bool   // a hub has introduced the two
}

// Party returns the peer of a link, with its address and path as they are now.
func (n *Node) Party(l *link.Link) Party { return n.partyOf(l)() }

// partyOf returns a function that is Party, but looks the name up only once. It is safe for
// concurrent use.
func (n *Node) partyOf(l *link.Link) func() Party {
	p := Party{ID: l.Peer, Name: n.Book.NameOf(l.Peer), Transfer: l.Transfer}
	p.Trust, p.typed, p.met = n.gradeOf(l, p.Name)
	return func() Party {
		p, now := p, l.Latest()
		p.Addr, p.Via, p.Path = now.Addr().String(), now.Via(), now.Path().String()
		return p
	}
}

// Label is the peer's name in messages.
func (p Party) Label() string {
	if p.Name != "" {
		return p.Name
	}
	if p.typed != "" {
		return p.typed
	}
	return p.ID.Short()
}

// Env returns the MESH_* variables that a CMD gets.
func (p Party) Env() []string {
	return []string{
		"MESH_PEER_ID=" + p.ID.String(),
		"MESH_PEER_NAME=" + p.Name,
		"MESH_PEER_ADDR=" + p.Addr,
		"MESH_TRANSFER=" + p.Transfer.String(),
		"MESH_VIA=" + p.Via,
		"MESH_PATH=" + p.Path,
		"MESH_TRUST=" + string(p.Trust),
	}
}
