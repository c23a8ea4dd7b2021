package node

import (
	"context"

	"mesh/pipe"
	"mesh/proto/link"
)

// Branch is one peer of a transfer to several. Its methods are called by one goroutine.
type Branch struct {
	// Label names the peer in messages.
	Label string
	// Transfers are the options of its exchange: those of the node, but for what is set for
	// this peer.
	Transfers pipe.Options
	// Counters count what this peer takes.
	Counters pipe.Counters

	node *Node
	peer Peer
	link *link.Link // nil before Dial
}

// Branch returns the branch to a peer.
func (n *Node) Branch(p Peer) *Branch {
	return &Branch{Label: p.label(), Transfers: n.options.Transfers, node: n, peer: p}
}

// Dial is [Node.Dial] for the branch.
func (b *Branch) Dial(ctx context.Context, r Request) (l *link.Link, err error) {
	b.link, err = b.node.Dial(ctx, b.peer, r)
	return b.link, err
}

// options are those of the exchange.
func (b *Branch) options() pipe.Options {
	o := b.Transfers
	o.Counters = &b.Counters
	return o
}

// Exchange is [Node.Exchange] for the branch, which only sends.
func (b *Branch) Exchange(ctx context.Context, source *pipe.Source) error {
	party := b.node.partyOf(b.link)
	result, run, err := b.node.carry(ctx, b.link, party, source, nil, screen{silent: true}, b.options(), sent)
	run.End(result, err)
	b.node.reporter.result(party(), result)
	return err
}

// Files is [Node.Files] for the branch, which only sends.
func (b *Branch) Files(ctx context.Context, side filesSide) error {
	_, err := b.node.files(ctx, b.link, true, side, screen{silent: true}, b.options())
	return err
}

// Env returns [Party.Env] of the branch; without a link the variables are empty.
func (b *Branch) Env() []string {
	if b.link == nil {
		return Party{Name: b.peer.Name}.Env()
	}
	return b.node.Party(b.link).Env()
}

// Report reports how the branch has ended, as an event.
func (b *Branch) Report(err error) {
	e := event{Event: "branch", PeerName: b.Label}
	if b.link != nil {
		e = partyEvent("branch", b.node.Party(b.link))
		e.PeerName = b.Label
	}
	b.node.reporter.emit(ended(e, err))
}

// WatchBranches draws the progress of a transfer to several peers, of total bytes, 0 if not
// known, until the returned function is called. counters say how much of it has been taken.
// Each peer's progress is in the events alone.
func (n *Node) WatchBranches(counters *pipe.Counters, typed bool, total int64) (stop func()) {
	return n.reporter.watch(nil, counters, screen{typed: typed, total: total}, new(outage))
}
