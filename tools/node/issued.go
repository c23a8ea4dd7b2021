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
	got, err := n.vouchedName(c, func(text string) bool { return text == name })
	return got != "", err
}

// vouchedName returns the first name that fits and that an issuer, whom this node trusts
// with names, gives a peer; "" if there is none.
func (n *Node) vouchedName(c agent.Claim, fits func(name string) bool) (string, error) {
	for _, v := range n.holding(c.Vouchers, c.Peer, c.Hub) {
		if v.Kind != hub.VoucherName || !fits(v.Text) {
			continue
		}
		trusted, err := agent.Issuers{Dir: n.Book.Dir}.Trusts(v)
		if err != nil {
			return "", err
		}
		if trusted {
			return v.Text, nil
		}
	}
	return "", nil
}

// issuedDialer returns the name by which a dialer is known for sure, by a voucher in its
// request; "" without one.
func (n *Node) issuedDialer(of agent.Offer) string {
	c := agent.Claim{Peer: of.From, Name: of.Name, Hub: of.Hub, Vouchers: of.Request.Vouchers}
	name, err := n.vouchedName(c, func(string) bool { return true })
	if err != nil {
		n.Log.Info("the trusted issuers are not known", "err", err)
	}
	return name
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
