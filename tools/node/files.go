package node

import (
	"context"
	"io"

	"mesh/pipe"
	"mesh/pipe/files"
	"mesh/proto/link"
)

// Files runs one side of a transfer of files over a link, with what is told of it.
func (n *Node) Files(ctx context.Context, l *link.Link, sends bool, side func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error)) error {
	var sum files.Summary
	source, sink, wait := files.Join(ctx, func(ctx context.Context, from io.Reader, to io.Writer) (err error) {
		sum, err = side(ctx, from, to)
		return err
	})
	party := n.partyOf(l)
	options := n.transfers
	options.Counters = new(pipe.Counters)
	var down outage
	options.Broken = n.breaks(party, &down)
	stop := n.tell.watch(party, options.Counters, screen{}, &down)
	result, err := pipe.Exchange(ctx, l, source, sink, options)
	err = wait(err)
	stop()
	if sends {
		n.tell.receipt(party(), "sent", "to", result.Sent, &sum)
	} else {
		n.tell.receipt(party(), "received", "from", result.Received, &sum)
	}
	return err
}
