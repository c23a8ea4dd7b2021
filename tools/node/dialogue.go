package node

import (
	"context"
	"io"

	"mesh/pipe"
	"mesh/proto"
	"mesh/proto/link"
)

// ForTerminals sets the node up for the links of shared terminals: see
// [proto.TermWindowBytes].
func (n *Node) ForTerminals() {
	n.window = proto.TermWindowBytes
	n.transfers.Flows = 1
}

// Broken returns a channel that has the newest word of whether the link is broken;
// it is never closed. Events tell too.
func (n *Node) Broken(l *link.Link) <-chan bool {
	c := make(chan bool, 1)
	tell := n.breaks(n.partyOf(l), new(outage))
	n.transfers.Broken = func(broken bool) { // one goroutine calls it
		tell(broken)
		select {
		case <-c:
		default:
		}
		c <- broken
	}
	return c
}

// Dialogue runs one side of a dialogue over a link, as [pipe.StartDialogue] does.
func (n *Node) Dialogue(ctx context.Context, l *link.Link, side func(ctx context.Context, from *io.PipeReader, to *io.PipeWriter) error) error {
	source, sink, wait := pipe.StartDialogue(ctx, side)
	_, err := pipe.Exchange(ctx, l, source, sink, n.transfers)
	return wait(err)
}
