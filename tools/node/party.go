package node

import (
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/wire"
)

// Party is whom a transfer is with, and which it is, as events tell it.
type Party struct {
	ID       identity.ID     `json:"id"`
	Name     string          `json:"name"` // in the address book, or ""
	Addr     string          `json:"addr"`
	Transfer wire.TransferID `json:"transfer"`
	Via      string          `json:"via"`
}

// Party returns that of a link, as it is now.
func (n *Node) Party(l *link.Link) Party {
	return Party{ID: l.Peer, Name: n.Book.NameOf(l.Peer), Addr: l.Addr().String(), Transfer: l.Transfer, Via: l.Via()}
}

// partyOf returns a function that is Party, but looks the name up once only.
func (n *Node) partyOf(l *link.Link) func() Party {
	p := n.Party(l)
	return func() Party {
		p.Addr, p.Via = l.Addr().String(), l.Via()
		return p
	}
}

// Label is how messages call the peer.
func (p Party) Label() string {
	if p.Name != "" {
		return p.Name
	}
	return p.ID.Short()
}

// Env returns the MESH_* variables that a CMD gets of a transfer.
func (p Party) Env() []string {
	return []string{
		"MESH_PEER_ID=" + p.ID.String(),
		"MESH_PEER_NAME=" + p.Name,
		"MESH_PEER_ADDR=" + p.Addr,
		"MESH_TRANSFER=" + p.Transfer.String(),
		"MESH_VIA=" + p.Via,
	}
}
