package node

import (
	"context"
	"errors"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
)

// Stranger is a node that has proven a code or a token for pairing.
type Stranger struct {
	ID    identity.ID
	Name  string // the hub's word, or without a hub its own; "" for none
	AtHub string // "" without a hub
}

// Terms are what a user decides about a node that is paired with.
type Terms struct {
	Name string     // in the address book
	Caps proto.Caps // what it may do here without a token; 0: nothing
}

// Pairing says how two nodes get to know each other for good.
type Pairing struct {
	// Peer is the code or the token that the other side shows; "" shows one here.
	Peer PeerText
	// Offer is what is said of the token that is shown here: Addrs, TTL, TokenFile,
	// ShowToken, and QR, Copy and Wait, which are for a code too. With a Peer, only Wait counts.
	Offer Offer
	// Decide is asked once the other node has proven the code or the token, before
	// anything is kept.
	Decide func(ctx context.Context, s Stranger) (Terms, error)
}

const (
	// pairAnswerTime is how long the user of the other side may take to decide: two
	// questions.
	pairAnswerTime = 2*time.Minute + 30*time.Second
	// pairStoreTime is how long the other side may take to write what it keeps.
	pairStoreTime = 30 * time.Second
	// pairLeaveTime is how long the end that shows the code waits for the other one to
	// have read its last word.
	pairLeaveTime = 5 * time.Second
)

// Each end tells the other that it has decided, and then that it has stored.
const (
	genDecided = 1
	genStored  = 2
)

// pairTalk is what two nodes that pair say to each other, by a hub or over a link.
type pairTalk interface {
	// Watch blocks until the other end has ended the talk, which is an error as that of
	// Hear, or until ctx ends.
	Watch(ctx context.Context) error
	// Tell tells the other end a step, with addresses where that end can be reached.
	Tell(ctx context.Context, gen uint64, addrs []string) error
	// Hear blocks until the other end has told the step, and returns its addresses. If
	// the other end has ended the talk, the error has the code [proto.Declined].
	Hear(ctx context.Context, gen uint64) ([]string, error)
	// Closed blocks until the other end has read all that was told and has closed, or as
	// long as that may take.
	Closed(ctx context.Context)
	// Close ends the talk.
	Close(ctx context.Context, reason string)
}

// Pair makes this node and another one know each other: both are in the address book and
// in authorized_peers of the other one, on the disk, when Pair returns without an error.
// If either side says no, neither is changed.
func (n *Node) Pair(ctx context.Context, o Pairing) (Stranger, Terms, error) {
	p := &pairing{node: n, offer: o.Offer, decide: o.Decide}
	defer p.end()
	meet := p.wait
	if o.Peer.Text != "" {
		meet = func(ctx context.Context) (*acquainted, error) { return p.call(ctx, o.Peer) }
	}
	a, err := meet(ctx)
	if err == nil {
		err = a.agree(ctx)
	}
	return p.stranger, p.terms, err
}

// pairing is one call of [Node.Pair].
type pairing struct {
	node   *Node
	offer  Offer
	decide func(ctx context.Context, s Stranger) (Terms, error)
	shows  bool    // this end has shown the code or the token
	hubs   *hubs   // nil if none is asked
	waiter *Waiter // nil if no token is shown

	// The rest is of the node that has proven itself.
	stranger Stranger
	terms    Terms
	talk     pairTalk
	local    bool // it may be on this machine, so its loopback addresses count
}

// acquainted is a node that has proven itself. One of its two functions is called, once.
type acquainted struct {
	agree  func(ctx context.Context) error
	refuse func()
}

// end ends what was opened to meet the other node.
func (p *pairing) end() {
	if p.waiter != nil {
		p.waiter.Stop()
	}
	if p.hubs != nil {
		p.hubs.close()
	}
}

// call proves the code or the token that PEER is.
func (p *pairing) call(ctx context.Context, text PeerText) (*acquainted, error) {
	peer, err := p.node.Peer(ctx, text)
	switch {
	case err != nil:
		return nil, err
	case peer.ByCode():
		return p.claim(ctx, peer)
	case peer.Token != nil:
		return p.dial(ctx, peer)
	}
	err = proto.Errorf(proto.Usage, "PEER is neither a code nor a token")
	return nil, proto.Hint(err, "mesh-pair without an argument shows one")
}

// wait shows a code, or without one a token, until a node has proven it.
func (p *pairing) wait(ctx context.Context) (*acquainted, error) {
	p.shows = true
	if err := p.node.checkHandOver(p.offer); err != nil {
		return nil, err
	}
	if limit := p.offer.Wait; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, proto.Errorf(proto.Unreachable, "no peer came in the time to wait"))
		defer cancel()
	}
	if len(p.node.options.Hubs) == 0 {
		return p.showToken(ctx)
	}
	heard := make(chan struct{}, 1)
	p.hubs = p.node.openHubs(p.node.options.Hubs, false, func(a *agent.Agent, _ hub.URL) {
		a.OnHeard = func() { signal(heard) }
	})
	return p.race(ctx, heard)
}

// agree asks the user, and keeps the other node if that one does the same.
func (p *pairing) agree(ctx context.Context) (err error) {
	reason := "declined"
	defer func() { p.talk.Close(ctx, reason) }()
	if p.stranger.ID == p.node.Key.ID() {
		return proto.Errorf(proto.Identity, "the code was proven by this node itself")
	}
	if p.terms, err = p.ask(ctx); err != nil {
		return err
	}
	if err := p.node.checkTerms(p.stranger.ID, p.terms); err != nil {
		return err
	}
	theirs, err := p.decided(ctx)
	if err != nil {
		return err
	}
	undo, err := p.node.keep(p.stranger.ID, p.terms, p.addrs(theirs))
	if err != nil {
		return err
	}
	if err := p.stored(ctx); err != nil {
		if proto.CodeOf(err) != proto.Declined { // it is kept here
			reason = hub.ReasonPaired
		}
		return p.unsure(err, undo)
	}
	reason = hub.ReasonPaired
	p.node.reporter.emit(event{Event: "paired", Hub: p.stranger.AtHub, PeerID: p.stranger.ID.String(), PeerName: p.terms.Name, Allows: p.terms.Caps.String()})
	return nil
}

// ask asks the user, for as long as the other end is there.
func (p *pairing) ask(ctx context.Context) (t Terms, err error) {
	asking, cancel := context.WithCancelCause(ctx)
	watched := make(chan error, 1)
	go func() {
		err := p.talk.Watch(asking)
		cancel(err)
		watched <- err
	}()
	t, err = p.decide(asking, p.stranger)
	cancel(nil)
	if ended := <-watched; ended != nil && ctx.Err() == nil {
		return t, ended
	}
	return t, err
}

// decided tells the other end that this one wants the pairing, and where it waits for
// good, and blocks until the other one says the same.
func (p *pairing) decided(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, pairAnswerTime, proto.Errorf(proto.Timeout, "the other side has not answered for %s", pairAnswerTime))
	defer cancel()
	if err := p.talk.Tell(ctx, genDecided, p.node.lastingAddrs()); err != nil {
		return nil, err
	}
	return p.talk.Hear(ctx, genDecided)
}

// stored tells the other end that this one has stored it, and blocks until the other one
// has too. The end that has shown the code speaks last.
func (p *pairing) stored(ctx context.Context) error {
	soon, cancel := context.WithTimeoutCause(ctx, pairStoreTime, proto.Errorf(proto.Timeout, "the other side has not answered for %s", pairStoreTime))
	defer cancel()
	if !p.shows {
		if err := p.talk.Tell(soon, genStored, nil); err != nil {
			return err
		}
		_, err := p.talk.Hear(soon, genStored)
		return err
	}
	if _, err := p.talk.Hear(soon, genStored); err != nil {
		return err
	}
	if err := p.talk.Tell(soon, genStored, nil); err != nil {
		return nil // both have stored; the other end says that it has not heard so
	}
	p.talk.Closed(ctx)
	return nil
}

// unsure handles an error after this end has stored: it takes that back if the other end
// has said no. An end that is silent may have stored too.
func (p *pairing) unsure(err error, undo func() error) error {
	if proto.CodeOf(err) == proto.Declined {
		return errors.Join(err, undo())
	}
	err = proto.Errorf(proto.CodeOf(err), "%s is kept here, and the other side has not said that it keeps this node: %w", p.terms.Name, err)
	return proto.Hint(err, "pair once more, or take it back: mesh-token revoke "+p.terms.Name+", mesh-token peer forget "+p.terms.Name)
}
