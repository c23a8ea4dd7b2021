package node

import (
	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/wire"
)

// answerBearer decides about the request of a node that has a token of this waiter, or a
// transfer with it. What such a node gets is where to dial, and nothing else: neither is a
// person asked nor a token made. A node that does not prove what it says it has is told
// nothing about it.
func (p spot) answerBearer(at hub.URL, of agent.Offer) agent.Answer {
	b := of.Request.Bearer
	found, err := p.bearerOf(of.From, b)
	switch {
	case err != nil || !b.Proves(found.Secret, of.Request.Session, of.From, p.node.Key.ID()):
		p.node.Log.Debug("request declined", "peer", of.From, "method", b.Method, "err", err)
		return agent.Answer{Decline: hub.CodeDenied}
	case b.Method == hub.MethodKnown && of.Request.Kind != hub.KindPing && !p.takes(string(of.Request.Kind)):
		return agent.Answer{Decline: hub.CodeKind}
	}
	return p.accept(at, of, hub.Grant{Method: b.Method}, nil)
}

// bearerOf returns what is known of the token or the transfer that a bearer names.
func (p spot) bearerOf(dialer identity.ID, b *hub.Bearer) (token.Admission, error) {
	switch {
	case b.Method == hub.MethodResume:
		return p.endpoint.FindTransfer(b.Token, dialer)
	case p.guard == nil:
		return token.Admission{}, proto.Errorf(proto.Denied, "nobody is waited for")
	}
	h := wire.Hello{Method: wire.MethodCapability, Token: b.Token}
	if len(b.Token) == len(token.ID{}) {
		h.Method = wire.MethodToken
	}
	return p.guard.Find(&h, dialer)
}

// accept accepts a request with a grant, whose rest it fills in, and takes the place at the
// relay where the dialer may come. Undo takes back what was granted.
func (p spot) accept(at hub.URL, of agent.Offer, g hub.Grant, undo func()) agent.Answer {
	g.Via, g.Candidates = p.via(), p.candidates()
	a, keys, err := of.Request.Accept(p.node.Key, of.Hub, of.From, g)
	if err != nil {
		p.node.Log.Info("request not answered", "peer", of.From, "err", err)
		return agent.Answer{Decline: hub.CodeBusy}
	}
	var transfer *wire.TransferID
	if g.Method == hub.MethodResume {
		id := wire.TransferID(of.Request.Bearer.Token)
		transfer = &id
	}
	p.places.open(session{of.From, at, of.Relays, g, transfer, keys, of.Updates(keys)}, p)
	return agent.Answer{Accept: a, Undo: undo}
}
