package node

import (
	"context"
	"fmt"
	"time"

	"mesh/pipe"
	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/path"
	"mesh/proto/wire"
)

// redialPause is the time between two attempts of a dialer that waits, after the peer
// has refused the first. An attempt that nobody answers takes long enough by itself.
const redialPause = 300 * time.Millisecond

// firstAttempt limits the first attempt of a dialer that waits; each further one may
// take twice as long, up to [proto.DialTimeout]. QUIC repeats its first packet at ever
// longer intervals, so a new attempt finds a listener that has just started sooner
// than an old attempt would.
const firstAttempt = 2 * time.Second

// ErrKind is in the chain of [Node.Dial]'s error if the peer does not take transfers
// of the kind.
var ErrKind = handshake.ErrKind

// Request says what to ask a peer for.
type Request struct {
	// Want is what to ask for; the peer grants some of it. Need must be granted.
	Want, Need proto.Caps
	// Kind is the kind of the transfer; "" for a pipe.
	Kind string
	// Name is that of a pipe, for an inbox; "" for none.
	Name string
	// Source, if it is set, may send its first bytes along with the handshake.
	Source *pipe.Source
	// Wait is how long to try again while the peer is not there or busy; 0 dials once.
	Wait time.Duration
}

// Dial links to a peer. It blocks until the peer has granted the request, or refuses
// it, or the time is over. The link lives until [Node.Close] at the latest.
func (n *Node) Dial(ctx context.Context, p Peer, r Request) (*link.Link, error) {
	n.reporter.note(Facts{Peer: p.label()})
	if !p.Caps.Has(r.Need) {
		err := proto.Errorf(proto.Capability, "the token allows %s, and this needs %s", p.Caps, r.Need)
		return nil, proto.Hint(err, capsHint(p.Caps))
	}
	via := n.via(p)
	if err := n.checkVia(via); err != nil {
		return nil, err
	}
	if len(p.Addrs) == 0 && !n.asksHubs(p) {
		err := proto.Errorf(proto.Unreachable, "link to %s: %w", p.label(), errNoAddress)
		return nil, proto.Hint(err, "make it with --addr HOST:PORT on the other side, or there while the network is up")
	}
	e, err := n.endpointFor(p)
	if err != nil {
		return nil, err
	}
	t := link.Target{ID: p.ID, Addrs: p.Addrs, Credential: p.Credential, Want: r.Want & p.Caps, Need: r.Need, Kind: r.Kind, Name: r.Name, Via: via}
	if r.Kind == wire.KindTTY {
		t.Prefer = path.Interactive
	}
	if r.Source != nil {
		t.First = r.Source.EarlyData
	}
	l, err := n.link(ctx, e, p, r, t)
	if err != nil {
		return nil, n.dialHint(p, r, fmt.Errorf("link to %s: %w", p.label(), err))
	}
	if r.Name != "" && l.Minor < link.NameMinor {
		n.Warn(fmt.Errorf("the mesh of %s is older and does not take the name %s: if it stores the pipe, then under a name of its own", p.label(), proto.QuoteText(r.Name)))
	}
	party := n.Party(l)
	if !p.ByCode() {
		party.Name = p.Name
	}
	n.reporter.peer(party)
	return l, nil
}

// asksHubs reports whether hubs may be asked where a peer is. Nobody is asked for this node
// itself, with its second key.
func (n *Node) asksHubs(p Peer) bool {
	return p.hub != nil || len(n.options.Hubs) > 0 && p.ID != n.Key.ID()
}

// checkVia refuses what needs a hub where there is none.
func (n *Node) checkVia(via path.Via) error {
	if via.Kind == path.Relay && len(n.options.Hubs) == 0 {
		return proto.Hint(proto.Errorf(proto.Usage, "--via relay needs a hub, and this node has none"), "mesh-hub join, or --hub URL")
	}
	return nil
}

// link links to the target: with the help of the hubs if there are any.
func (n *Node) link(ctx context.Context, e *link.Endpoint, p Peer, r Request, t link.Target) (*link.Link, error) {
	if n.asksHubs(p) {
		return n.meet(ctx, e, p, r, t)
	}
	return n.redial(ctx, e, t, r.Wait)
}

// endpointFor returns the endpoint to dial p with.
func (n *Node) endpointFor(p Peer) (*link.Endpoint, error) {
	switch {
	case p.ID != n.Key.ID():
		return n.dialEndpoint()
	case p.Token == nil:
		return nil, proto.Errorf(proto.Identity, "%s is this node itself", p.label())
	}
	return n.aliasEndpoint()
}

// redial dials once, or with wait, until the peer is there.
func (n *Node) redial(ctx context.Context, e *link.Endpoint, t link.Target, wait time.Duration) (l *link.Link, err error) {
	if near := n.nearbyFor(t); near != nil && len(portsOf(t.Addrs)) > 0 {
		t.Meeting = unhubbed{near, t}
	}
	err = n.retry(ctx, t, wait, func(ctx context.Context, t link.Target) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		if t.Meeting != nil {
			t.Candidates, t.Routes = t.Meeting.Routes(ctx)
		}
		l, err = e.Dial(ctx, t)
		return err
	})
	return l, err
}

// retry tries to reach a target once, or with wait, until the target is there.
func (n *Node) retry(ctx context.Context, t link.Target, wait time.Duration, try func(context.Context, link.Target) error) error {
	if wait == 0 {
		return try(ctx, t)
	}
	waiting, cancel := context.WithTimeoutCause(ctx, wait, proto.Errorf(proto.Unreachable, "no answer"))
	defer cancel()
	for t.AttemptTimeout = firstAttempt; ; t.AttemptTimeout = min(2*t.AttemptTimeout, proto.DialTimeout) {
		err := try(waiting, t)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case waiting.Err() == nil && !mayPass(err):
			return err
		}
		n.Log.Info("peer is not there yet", "err", err)
		select {
		case <-time.After(redialPause):
		case <-waiting.Done():
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("gave up after %s: %w", wait, err)
		}
	}
}

// tokenHint adds to the error of a dial what the token itself says about it.
func (n *Node) tokenHint(p Peer, err error) error {
	code := proto.CodeOf(err)
	switch code {
	case proto.Unreachable, proto.Denied:
	case proto.Identity:
		return proto.Hint(err, "another node answers at the address in the token: ask for a new token")
	default:
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
	return proto.Hint(err, "the listener may have ended, or cannot be reached from here; mesh-token show prints its addresses")
}
