// Package recv is mesh-recv, which receives one transfer to standard output, to a
// file or to a folder. It waits for a peer and prints a token, or dials PEER, or takes
// a delivery from the daemon of this user.
package recv

import (
	"context"
	"slices"

	"github.com/urfave/cli/v2"

	"mesh/proto/wire"
	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/nodeflags"
	"mesh/tools/runs"
)

// Command returns the tool.
func Command() *cli.Command {
	return &cli.Command{
		Name:      "recv",
		Usage:     "take one transfer to standard output, a file or a folder",
		ArgsUsage: "[PEER [NAME…]]",
		UsageText: "mesh-recv -C Downloads        # the sender: mesh-cat TOKEN photos\nmesh-recv | tar xf -          # the sender: tar cf - dir | mesh-cat TOKEN\nmesh-recv -C . nas db.dump    # one of the files that nas offers\n",
		Flags: nodeflags.Flags(append([]cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write to `FILE`, which appears once it is whole and verified"},
			&cli.StringFlag{Name: "directory", Aliases: []string{"C"}, Usage: "store files and folders below `DIR`"},
			&cli.StringFlag{Name: "archive", Usage: "write files and folders as one `zip|tar` to standard output or FILE"},
			&cli.BoolFlag{Name: "dry-run", Usage: "list what PEER offers, and take nothing", DisableDefaultText: true},
			&cli.BoolFlag{Name: "next", Usage: "take the next delivery of this user's mesh-listen --inbox", DisableDefaultText: true},
			&cli.BoolFlag{Name: "gc", Usage: "remove what broken transfers have left below DIR, and end", DisableDefaultText: true},
			cmdline.Trust(), cmdline.Flows(), cmdline.LimitRate(),
		}, slices.Concat(runs.Flags(), cmdline.StoreFlags(), nodeflags.ListenFlags())...)...),
		Action: func(c *cli.Context) error {
			o, err := optionsOf(c)
			if err != nil {
				return err
			}
			o.tuneProcess()
			return run(c.Context, o, cmdline.StreamsOf(c))
		},
	}
}

// run does the work of the tool.
func run(ctx context.Context, o options, s cmdline.Streams) error {
	if o.gc {
		return removeBroken(ctx, o.directory)
	}
	if o.dryRun { // no run of a job, of which somebody is told
		n, err := o.node.Open(s)
		if err != nil {
			return err
		}
		return n.Close(listOffered(ctx, n, o, s))
	}
	var n *node.Node
	o.runs.Close = func(err error) error {
		if n == nil {
			return err
		}
		return n.Close(err)
	}
	return o.runs.Run(ctx, s, func(ctx context.Context, _ runs.Try) (_ runs.Facts, err error) {
		if n == nil {
			n, err = o.node.Open(s)
		}
		if err == nil {
			err = receive(ctx, n, o, s)
		}
		return runs.FactsOf(n), err
	})
}

// receive receives one transfer.
func receive(ctx context.Context, n *node.Node, o options, s cmdline.Streams) error {
	d, err := openDestination(o, s)
	if err != nil {
		return err
	}
	defer d.discard()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stopWatch := d.watchReader(ctx, fail)
	t, done, err := openTransfer(ctx, n, o, d.kinds)
	stopWatch()
	if err != nil {
		return err
	}
	defer done()
	switch {
	case t.kind == wire.KindPipe:
		return d.settle(t.pipe(ctx, d.sink))
	case o.archive != "":
		return d.settle(writeArchive(ctx, t, o, d))
	case d.ask:
		return storeHere(ctx, t, o, d, s)
	}
	d.discard() // files are stored one by one
	return storeFiles(ctx, t, o, d, s)
}
