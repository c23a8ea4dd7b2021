package node

import (
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/proto/token"
)

// RoomRule says what a node may do here that shows a voucher for a room. Nothing else
// gives the members of a room a right: the hub's word on who is in it does not.
type RoomRule struct {
	Room  string
	Owner identity.ID // whose vouchers count
	Allow proto.Caps  // never [proto.CapTTYControl]
}

// byRoom returns what a dialer may do by the voucher for a room that it shows, and the rule
// that says so. ok is false if no rule does.
func (p *presence) byRoom(of agent.Offer) (caps proto.Caps, why token.Reason, ok bool) {
	if p.offer.TokenOnly || p.node.options.Rooms == nil || len(of.Request.Vouchers) == 0 {
		return 0, why, false
	}
	for _, v := range p.node.holding(of.Request.Vouchers, of.From, of.Hub) {
		allowed, err := p.node.allowedBy(v)
		if err != nil {
			p.node.Log.Info("the rules for rooms are not known", "err", err)
			return 0, why, false
		}
		if caps, code := p.limit(of, allowed); code == "" {
			why := token.Reason{
				What: "voucher " + v.ID.String() + " for the room " + v.Text + " by " + v.Issuer.Short(),
				Gone: func() error { return p.node.roomGone(v, caps) },
			}
			return caps, why, true
		}
	}
	return 0, why, false
}

// allowedBy returns what the rules allow the holder of a voucher now.
func (n *Node) allowedBy(v hub.Voucher) (proto.Caps, error) {
	if v.Kind != hub.VoucherRoom {
		return 0, nil
	}
	rules, err := n.options.Rooms()
	if err != nil {
		return 0, err
	}
	for _, r := range rules {
		if r.Room != v.Text {
			continue
		}
		trusted := r.Owner == v.Issuer
		if !trusted {
			if trusted, err = (agent.Issuers{Dir: n.Book.Dir}).Trusts(v); err != nil {
				return 0, err
			}
		}
		if trusted {
			return r.Allow &^ proto.CapTTYControl, nil
		}
	}
	return 0, nil
}

// roomGone returns an error with code [proto.Denied] if a voucher that has given caps gives
// them no more: it has expired or is revoked, or the rule or the issuer is gone. Rules
// that cannot be read take nothing back; they admit nobody either.
func (n *Node) roomGone(v hub.Voucher, caps proto.Caps) error {
	switch {
	case !time.Now().Before(v.Ends().Add(hub.DateSlack)):
		return proto.Errorf(proto.Denied, "it has expired")
	case n.Tokens.Revoked(v.ID):
		return proto.Errorf(proto.Denied, "it is revoked")
	}
	if allowed, err := n.allowedBy(v); err == nil && !allowed.Has(caps) {
		return proto.Errorf(proto.Denied, "no rule allows it any more")
	}
	return nil
}
