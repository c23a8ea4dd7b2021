package agent

import (
	"context"

	"mesh/proto/hub"
	"mesh/proto/identity"
)

// Lookup asks the hub for the key of a peer, and whether it is online.
func (a *Agent) Lookup(ctx context.Context, peer string) (hub.Peer, error) {
	p, _, err := a.lookup(ctx, peer)
	return p, err
}

// Claim asks the hub for the key of a peer, and for the vouchers about it.
func (a *Agent) Claim(ctx context.Context, peer string) (Claim, error) {
	p, at, err := a.lookup(ctx, peer)
	return Claim{p.Node, p.Name, at, p.Vouchers}, err
}

func (a *Agent) lookup(ctx context.Context, peer string) (p hub.Peer, at identity.ID, err error) {
	c, err := a.ready(ctx, false)
	if err != nil {
		return p, at, err
	}
	e, err := c.Call(ctx, hub.TypeLookup, &hub.Lookup{Peer: peer})
	if err == nil {
		err = e.Read(&p)
	}
	return p, c.Hub, err
}

// WaitOnline blocks until the hub says that a peer takes the kind. It asks again after
// each new login. A peer that the hub does not know is an error.
func (a *Agent) WaitOnline(ctx context.Context, peer string, kind hub.Kind) error {
	for {
		c, err := a.ready(ctx, true)
		if err != nil {
			return err
		}
		a.mu.Lock()
		online := a.online // before the hub may tell
		a.mu.Unlock()
		if _, err := c.Call(ctx, hub.TypeWatch, &hub.Watch{Peer: peer, Kind: kind}); err != nil {
			if _, refused := asHubError(err); refused || ctx.Err() != nil {
				return err
			}
		}
		select {
		case <-online:
			return nil
		case <-c.done:
			a.left(ctx, c)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// left blocks until the agent has noticed that a connection has ended, or ctx ends.
func (a *Agent) left(ctx context.Context, c *Conn) {
	for {
		a.mu.Lock()
		now, change := a.conn, a.change
		a.mu.Unlock()
		if now != c {
			return
		}
		select {
		case <-change:
		case <-ctx.Done():
			return
		}
	}
}
