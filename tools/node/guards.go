package node

import (
	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/wire"
)

// guardOf returns the guard of an offer, and the one that tells the user of nodes without rights.
func (n *Node) guardOf(o Offer) (guard handshake.Guard, refusals *strangers) {
	guard = n.Tokens
	if o.Limit != nil {
		guard = limited{n.Tokens, o.Limit}
	}
	refusals = &strangers{node: n, caps: o.Caps}
	switch {
	case o.Pairs:
		return mintedHere{guard}, refusals
	case o.TokenOnly:
		return tokenOnly{guard}, refusals
	}
	refusals.Guard = guard
	return refusals, refusals
}

// limited is the registry, with a limit for each node.
type limited struct {
	*token.Registry
	limit func(identity.ID) (proto.Caps, error)
}

// Find implements [handshake.Guard].
func (g limited) Find(h *wire.Hello, dialer identity.ID) (token.Admission, error) {
	most, err := g.limit(dialer)
	if err != nil {
		return token.Admission{}, err
	}
	a, err := g.Registry.Find(h, dialer)
	a.Caps &= most
	return a, err
}

// CheckAccess implements [handshake.Guard]. A limit that cannot be read
// revokes nothing.
func (g limited) CheckAccess(dialer identity.ID, id *token.ID, granted proto.Caps) error {
	if most, err := g.limit(dialer); err == nil && !most.Has(granted) {
		return proto.Errorf(proto.Denied, "the node's rights are now less")
	}
	return g.Registry.CheckAccess(dialer, id, granted)
}

// tokenOnly is a guard that accepts no key without a token.
type tokenOnly struct{ handshake.Guard }

// Find implements [handshake.Guard].
func (g tokenOnly) Find(h *wire.Hello, dialer identity.ID) (token.Admission, error) {
	if h.Method == wire.MethodKey {
		return token.Admission{}, proto.Errorf(proto.Denied, "a key without a token, which --token-only refuses")
	}
	return g.Guard.Find(h, dialer)
}
