package node

import (
	"strings"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
)

// issued reports whether an issuer that this node trusts with names vouches that the peer
// which a hub names has the name. A voucher of another kind says nothing about that.
func (n *Node) issued(name string, c agent.Claim) (bool, error) {
	name = name[strings.LastIndex(name, "/")+1:] // of room/name
	for _, v := range n.holding(c.Vouchers, c.Peer, c.Hub) {
		if v.Kind != hub.VoucherName || v.Text != name {
			continue
		}
		trusted, err := agent.Issuers{Dir: n.Book.Dir}.Trusts(v)
		if trusted || err != nil {
			return trusted, err
		}
	}
	return false, nil
}

// holding returns the vouchers that are about a node, hold at a hub now, and are not
// revoked here. Whose word counts, the caller decides.
func (n *Node) holding(texts []string, node, at identity.ID) (list []hub.Voucher) {
	for _, text := range texts {
		v, err := hub.ParseVoucher(text)
		if err == nil && !n.Tokens.Revoked(v.ID) && v.Check(node, at, time.Now()) == nil {
			list = append(list, v)
		}
	}
	return list
}
