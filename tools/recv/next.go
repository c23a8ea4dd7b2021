package recv

import (
	"context"
	"time"

	"mesh/pipe"
	"mesh/proto"
	"mesh/tools/handoff"
	"mesh/tools/node"
)

// takeDelivery takes the next delivery of one of the kinds from the daemon of this
// user. It blocks until there is one, or for as long as wait, 0 for no limit.
func takeDelivery(ctx context.Context, n *node.Node, wait time.Duration, kinds []string) (transfer, error) {
	path := handoff.Path(n.Book.Dir)
	waiting := ctx
	if wait > 0 {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeoutCause(ctx, wait, proto.Errorf(proto.Unreachable, "no delivery came in the time to wait"))
		defer cancel()
	}
	d, err := handoff.Next(waiting, path, kinds, func() { n.Listening(path) })
	if proto.CodeOf(err) == proto.Unreachable && waiting.Err() == nil {
		return transfer{}, proto.Hint(err, "mesh-listen --inbox DIR starts one; without --next, mesh-recv waits by itself")
	}
	if err != nil {
		return transfer{}, err
	}
	count := n.NewProgress()
	return transfer{
		kind: d.Kind, progress: count, peer: d.Party.ID.String(), ledger: n.Ledger, from: d.Party.Label(), end: d.End, await: n.Await, minor: d.Minor,
		pipe: func(ctx context.Context, sink *pipe.Sink) error {
			done := n.Follow(d.Party, &d.Counters, sink, nil)
			r, err := d.Pipe(ctx, sink)
			done(r, nil)
			return err
		},
		files: func(ctx context.Context, side filesSide) error {
			done := n.Follow(d.Party, &d.Counters, nil, count)
			sum, r, err := d.Files(ctx, side)
			done(r, &sum)
			return err
		},
	}, nil
}
