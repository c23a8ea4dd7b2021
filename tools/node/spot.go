package node

import (
	"net"
	"net/netip"
	"slices"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/handshake"
	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/path"
	"mesh/proto/token"
	"mesh/proto/wire"
)

// spot is where this node waits, and for what: what it tells the dialers that a hub
// introduces.
type spot struct {
	node  *Node
	offer Offer
	at    net.Addr    // the node's socket; nil without one
	given []string    // the HOST:PORTs at which the user says that it is
	ports *forwarding // of the router; nil for none

	endpoint *link.Endpoint
	guard    handshake.Guard // of the listener; nil once nobody is waited for
	places   *places
}

// kinds returns the kinds of transfers that are taken.
func (p spot) kinds() (list []hub.Kind) {
	for _, kind := range []string{wire.KindPipe, wire.KindFiles, wire.KindTTY} {
		if slices.Contains(p.offer.Kinds, kind) || p.takes(kind) {
			list = append(list, hub.Kind(kind))
		}
	}
	return list
}

// takes reports whether a kind may be taken. A request at a hub does not say whether a pipe
// has a name, so the handshake decides about that.
func (p spot) takes(kind string) bool {
	if p.offer.Takes == nil {
		return kind == wire.KindPipe
	}
	return p.offer.Takes(kind) || kind == wire.KindPipe && p.offer.TakesNamed
}

// via is the text for dialers of which paths this node takes; "" for all.
func (p spot) via() string {
	if p.node.options.Via == (path.Via{}) {
		return ""
	}
	return p.node.options.Via.String()
}

// candidates returns where this node may be reached now: at the ports that the router
// forwards, and at the addresses that the user gave, else at its own. A host name is told to
// nobody, since the peer would have to look it up: it replaces no address.
func (p spot) candidates() (list []hub.Candidate) {
	if p.at == nil {
		return nil
	}
	addrs := p.given
	if !slices.ContainsFunc(addrs, isAddrPort) && !p.node.options.Reach.Hide {
		if own, err := ownAddrs(p.at); err == nil {
			addrs = own
		}
	}
	if p.ports != nil {
		list = p.ports.candidates()
	}
	seen := make(map[netip.AddrPort]bool)
	for i, addr := range addrs {
		at, err := netip.ParseAddrPort(addr)
		if err != nil || seen[at] {
			continue
		}
		seen[at] = true
		for _, proto := range p.protocols() {
			c := candidate.At(candidate.Host, proto, at, uint16(0xffff-i))
			if _, err := candidate.Parse(c.String()); err == nil && len(list) < hub.MaxCandidates {
				list = append(list, hub.Candidate(c))
			}
		}
	}
	return list
}

func isAddrPort(text string) bool {
	_, err := netip.ParseAddrPort(text)
	return err == nil
}

func (p spot) protocols() (list []candidate.Proto) {
	if p.node.uses(proto.ViaTCP) {
		list = append(list, candidate.TCP)
	}
	if p.node.uses(proto.ViaQUIC) {
		list = append(list, candidate.UDP)
	}
	return list
}

// tokenFor returns the grant of a token for one node, which holds while its reason does, and
// the function that takes the token back.
func (p spot) tokenFor(id identity.ID, caps proto.Caps, why token.Reason) (g hub.Grant, undo func(), code string) {
	t, err := p.node.Tokens.IssueTo(id, caps, hub.TokenLife)
	if err == nil {
		err = p.node.Tokens.Because(t.ID, why)
	}
	if err == nil {
		g.Token, err = t.Encode()
	}
	if err != nil {
		p.node.Log.Info("no token was made", "err", err)
		return g, nil, hub.CodeBusy
	}
	return g, func() { p.node.Tokens.Cancel(t.ID) }, ""
}
