package recv

import (
	"context"

	"github.com/urfave/cli/v2"

	"mesh/pipe"
	"mesh/proto"
	"mesh/tools/handoff"
	"mesh/tools/node"
)

// next takes the next delivery from the daemon of this user.
func next(c *cli.Context, n *node.Node, kinds []string) (transfer, error) {
	path, err := handoff.Path(n.Book.Dir)
	if err != nil {
		return transfer{}, err
	}
	ctx := c.Context
	if wait := c.Duration("wait"); wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, wait, proto.Errorf(proto.Unreachable, "no delivery came in the time to wait"))
		defer cancel()
	}
	d, err := handoff.Next(ctx, path, kinds, func() { n.Listening(path) })
	if proto.CodeOf(err) == proto.Unreachable && ctx.Err() == nil {
		return transfer{}, proto.Hint(err, "mesh-listen --inbox DIR starts one; without --next, mesh-recv waits by itself")
	}
	if err != nil {
		return transfer{}, err
	}
	return transfer{
		kind: d.Kind, peer: d.Party.ID.String(), end: d.End,
		pipe: func(ctx context.Context, sink *pipe.Sink) error {
			done := n.Follow(d.Party, &d.Counters, sink)
			r, err := d.Pipe(ctx, sink)
			done(r, nil)
			return err
		},
		files: func(ctx context.Context, s side) error {
			done := n.Follow(d.Party, &d.Counters, nil)
			sum, r, err := d.Files(ctx, s)
			done(r, &sum)
			return err
		},
	}, nil
}
