package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mesh/pipe"
	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
)

// redialPause is how long a dialer that waits stays off after a refusal. A
// peer that does not answer takes time enough by itself.
const redialPause = 300 * time.Millisecond

// firstDial is how long the first try of a dialer that waits lasts, if nobody is
// there; each further one lasts twice as long, up to [proto.DialTimeout]. QUIC sends
// its first packet again at ever longer pauses, so a new try finds a listener that has
// just come sooner than an old one.
const firstDial = 2 * time.Second

// Dial links to the peer and gets what need says, and of want what there is.
// With wait it tries again for that long while the peer is not there or busy.
// What the source, if there is one, has ready goes along. The returned function closes
// the socket.
func (n *Node) Dial(ctx context.Context, p Peer, want, need proto.Caps, source *pipe.Source, wait time.Duration) (*link.Link, func(), error) {
	if !p.Caps.Has(need) {
		return nil, nil, proto.Errorf(proto.Capability, "the token allows %s, and we need %s", p.Caps, need)
	}
	key, err := n.dialKey(p)
	if err != nil {
		return nil, nil, err
	}
	e, err := n.dialing(key)
	if err != nil {
		return nil, nil, err
	}
	stop := func() { _ = e.Close() }
	t := link.Target{ID: p.ID, Addrs: p.Addrs, Credential: p.Credential, Want: want & p.Caps, Need: need, Kind: p.Kind}
	if source != nil {
		t.First = source.EarlyData
	}
	l, err := n.redial(ctx, e, t, wait)
	if err != nil {
		stop()
		return nil, nil, n.tokenHint(p, fmt.Errorf("link to %s: %w", p.label(), err))
	}
	party := n.Party(l)
	party.Name = p.Name
	n.tell.peer(party)
	return l, stop, nil
}

// dialKey is the key to dial with: ours, but for a token of our own another one
// that lives as long as this process. Two ends of a link always have two keys,
// and a token's secret is proof enough; so both tools also work for one user on
// one machine.
func (n *Node) dialKey(p Peer) (*identity.Key, error) {
	if p.ID != n.Key.ID() {
		return n.Key, nil
	}
	if p.Token == nil {
		return nil, proto.Errorf(proto.Identity, "%s is this node itself", p.label())
	}
	return identity.NewKey()
}

func (n *Node) redial(ctx context.Context, e *link.Endpoint, t link.Target, wait time.Duration) (*link.Link, error) {
	if wait == 0 {
		return e.Dial(ctx, t)
	}
	waiting, cancel := context.WithTimeoutCause(ctx, wait, proto.Errorf(proto.Unreachable, "no answer"))
	defer cancel()
	for t.Try = firstDial; ; t.Try = min(2*t.Try, proto.DialTimeout) {
		l, err := e.Dial(waiting, t)
		code := proto.CodeOf(err)
		switch {
		case err == nil:
			return l, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case waiting.Err() == nil && code != proto.Unreachable && code != proto.Busy && !errors.Is(err, link.ErrBroken):
			return nil, err
		}
		n.Log.Info("peer is not there yet", "err", err)
		select {
		case <-time.After(redialPause):
		case <-waiting.Done():
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, fmt.Errorf("gave up after %s: %w", wait, err)
		}
	}
}

// tokenHint adds to a failed dial what the token itself says about that.
func (n *Node) tokenHint(p Peer, err error) error {
	code := proto.CodeOf(err)
	if p.Token == nil || code != proto.Unreachable && code != proto.Denied {
		return err
	}
	if p.Token.Expired(time.Now()) {
		return proto.Hint(err, "the token expired at "+p.Token.Expires.Format(time.RFC3339))
	}
	if holder := p.Token.Holder; holder != (identity.ID{}) && holder != n.Key.ID() {
		return proto.Hint(err, "the token is for "+holder.Short()+" alone, and this is "+n.Key.ID().Short())
	}
	if code == proto.Denied {
		return proto.Hint(err, "it may be used up, revoked or of another listener: ask for a new token")
	}
	return proto.Hint(err, "who made the token may have ended, or cannot be reached from here: mesh-token show prints its addresses")
}

// label is how messages call the peer.
func (p Peer) label() string {
	if p.Name != "" {
		return p.Name
	}
	return p.ID.Short()
}
