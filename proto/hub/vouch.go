package hub

import (
	"crypto/ed25519"
	"encoding/binary"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
)

// signedText is what the issuer signs: all bytes before the signature.
func (v Voucher) signedText() []byte { return signed(labelVoucher, v.head()) }

// linkText is what the seed of an invite signs to hand its voucher on.
func (v Voucher) linkText(node identity.ID) []byte {
	return signed(labelLink, v.Hub[:], v.ID[:], node[:])
}

// joinedText is what a hub signs about a node that has joined with an invite.
func joinedText(seed, node identity.ID, until uint64) []byte {
	return signed(labelJoined, seed[:], node[:], binary.BigEndian.AppendUint64(nil, until))
}

// SignJoined returns the hub's word that the node has joined with the invite whose key
// is seed. The date until is the end of the membership.
func SignJoined(hub *identity.Key, seed, node identity.ID, until time.Time) *Joined {
	at := uint64(until.Unix())
	return &Joined{at, hub.Sign(joinedText(seed, node, at))}
}

// HandOn returns the voucher of an invite with a second link, which makes the node its
// holder. The hub has given joined at the login with the invite.
func (v Voucher) HandOn(i Invite, node identity.ID, joined Joined) Voucher {
	seed := ed25519.NewKeyFromSeed(i.Seed[:])
	v.Link = &SecondLink{Node: node, Sig: ed25519.Sign(seed, v.linkText(node)), Joined: joined}
	return v
}

// Check returns an error, with code [proto.Denied], unless the voucher is about the node,
// holds at the hub at this time, and all its signatures are right. Dates hold for
// [DateSlack] longer. The caller decides whether it trusts the issuer with this kind and
// text, and whether the voucher is revoked.
func (v Voucher) Check(node, hub identity.ID, now time.Time) error {
	switch {
	case v.Holder() != node:
		return proto.Errorf(proto.Denied, "the voucher is about another node")
	case v.Hub != (identity.ID{}) && v.Hub != hub:
		return proto.Errorf(proto.Denied, "the voucher is for another hub")
	case !now.Before(v.Ends().Add(DateSlack)):
		return proto.Errorf(proto.Denied, "the voucher has expired")
	}
	return v.CheckSigned()
}

// CheckSigned returns an error, with code [proto.Denied], unless all signatures are right:
// the issuer's, and of a second link that of the seed and that of the hub.
func (v Voucher) CheckSigned() error {
	if !verify(v.Issuer, v.Sig, v.signedText()) {
		return proto.Errorf(proto.Denied, "the voucher is not signed by its issuer")
	}
	if l := v.Link; l != nil {
		if !verify(v.Subject, l.Sig, v.linkText(l.Node)) {
			return proto.Errorf(proto.Denied, "the voucher's second link is not signed by the invite")
		}
		if !verify(v.Hub, l.Joined.Sig, joinedText(v.Subject, l.Node, l.Joined.Until)) {
			return proto.Errorf(proto.Denied, "the hub has not signed that the node joined with the invite")
		}
	}
	return nil
}
