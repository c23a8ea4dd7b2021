package node

import (
	"context"
	"fmt"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
)

// mayAsk reports whether the user can be asked about a node without rights.
func (p *presence) mayAsk() bool {
	return p.offer.Asks && !p.offer.TokenOnly && p.node.options.Ask != nil
}

// ask asks the user whether a node without rights may do what it asks for this time. It
// asks one question at a time, and no second one about a node.
func (p *presence) ask(ctx context.Context, of agent.Offer) (proto.Caps, string) {
	want, err := proto.ParseCaps(of.Request.Want)
	if err != nil || want&p.offer.Caps == 0 {
		return 0, hub.CodeCapability
	}
	want &= p.offer.Caps
	if !p.asking.TryLock() {
		return 0, hub.CodeBusy
	}
	defer p.asking.Unlock()
	if p.wasRefused(of.From, false) {
		return 0, hub.CodeDeclined
	}
	of.Pending()
	yes, err := p.node.options.Ask(ctx, fmt.Sprintf("%s (says the hub), whose key is %s, wants to %s: allow it once? [y/N] ", proto.QuoteText(of.Name), of.From, want))
	if err != nil || !yes {
		p.wasRefused(of.From, ctx.Err() == nil)
		return 0, hub.CodeDeclined
	}
	return want, ""
}

// wasRefused reports whether the user has refused a node, and notes that if now is set.
func (p *presence) wasRefused(id identity.ID, now bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.refused[id]
	if now && len(p.refused) < maxRefused {
		p.refused[id] = true
	}
	return was
}

// maxRefused bounds the nodes that are remembered.
const maxRefused = 1000

// tokenFor returns the grant of a token for one node, and the function that takes the
// token back.
func (p *presence) tokenFor(id identity.ID, caps proto.Caps) (g hub.Grant, undo func(), code string) {
	t, err := p.node.Tokens.IssueTo(id, caps, hub.TokenLife)
	if err == nil {
		g.Token, err = t.Encode()
	}
	if err != nil {
		p.node.Log.Info("no token was made", "err", err)
		return g, nil, hub.CodeBusy
	}
	return g, func() { p.node.Tokens.Cancel(t.ID) }, ""
}
