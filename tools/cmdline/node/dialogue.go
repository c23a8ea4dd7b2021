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

// Dialogue runs one side of a dialogue over a link, as [pipe.Join] does.
func (n *Node) Dialogue(ctx context.Context, l *link.Link, side func(ctx context.Context, from *io.PipeReader, to *io.PipeWriter) error) error {
	source, sink, wait := pipe.Join(ctx, side)
	_, err := pipe.Exchange(ctx, l, source, sink, n.transfers)
	return wait(err)
}
