package broker

import (
	"slices"
	"time"

	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/proto/token"
)

// admission is a membership by the voucher of an issuer. It is memory only: a hub that was
// restarted sees the voucher again at the next login.
type admission struct {
	issuer identity.ID
	id     token.ID
	until  time.Time
}

// about returns the vouchers in a hello that are about its node. The hub shows them to
// others, who check the signatures.
func about(h *hub.Hello) (texts []string) {
	for _, text := range h.Vouchers {
		if v, err := hub.ParseVoucher(text); err == nil && v.Holder() == h.Node {
			texts = append(texts, text)
		}
	}
	return texts
}

// vouchersOf returns the vouchers that a node shows on its newest connection with any.
func (b *Broker) vouchersOf(node identity.ID) []string {
	for _, c := range slices.Backward(b.nodes[node]) {
		if len(c.vouchers) > 0 {
			return c.vouchers
		}
	}
	return nil
}

// admitVouched reports whether the hello shows a voucher that makes its node a member, and
// notes that.
func (b *Broker) admitVouched(h *hub.Hello) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.o.Now()
	for _, text := range h.Vouchers {
		v, err := hub.ParseVoucher(text)
		if err != nil || v.Kind != hub.VoucherAdmit || !b.access.issuers[v.Issuer] || b.o.Revoked(v.ID) || v.Check(h.Node, b.o.Hub, now) != nil {
			continue
		}
		if _, again := b.admitted[h.Node]; !again && len(b.admitted) >= MaxMembers {
			return false
		}
		b.admitted[h.Node] = admission{v.Issuer, v.ID, v.Ends()}
		b.log("member by a voucher", "node", h.Node.String(), "issuer", v.Issuer.String(), "voucher", v.ID.String())
		return true
	}
	return false
}

// joined returns the hub's word that a node has joined with an invite, if the invite carries
// a voucher that is not revoked. The same node gets the same word again.
func (b *Broker) joined(node, invite identity.ID) *hub.Joined {
	m, i := b.facts.members[node], b.facts.invites[invite]
	if m == nil || !m.Removed.IsZero() || m.Invite != invite || i == nil || i.Voucher == (token.ID{}) || b.o.SignJoined == nil || b.o.Revoked(i.Voucher) {
		return nil
	}
	until := i.Ends
	if !m.Until.IsZero() && m.Until.Before(until) {
		until = m.Until
	}
	return b.o.SignJoined(invite, node, until)
}

// prune forgets the memberships whose voucher is over or revoked, or whose issuer
// hub_access does not list any more.
func (b *Broker) prune(now time.Time) {
	for node, a := range b.admitted {
		if !within(a.until, now) || !b.access.issuers[a.issuer] || b.o.Revoked(a.id) {
			delete(b.admitted, node)
		}
	}
}

// Recheck disconnects the nodes that are no members any more, for example after a voucher
// was revoked.
func (b *Broker) Recheck() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expel()
	b.flush()
}
