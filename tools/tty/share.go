package tty

import (
	"context"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/tools/board"
	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/nodeflags"
	"mesh/tools/sharing"
)

// defaultMax is the value of --max.
const defaultMax = 200

// shareFlags are the flags that need --share.
func shareFlags() []cli.Flag {
	ttl := cmdline.TTL()
	ttl.Value, ttl.DefaultText = new(cmdline.Duration), "when the session ends"
	return append(
		sharing.Flags("share"),
		&cli.StringFlag{Name: "name", Usage: "share: call the session `NAME`"},
		&cli.BoolFlag{Name: "headless", Usage: "share: run CMD without a terminal here", DisableDefaultText: true},
		&cli.IntFlag{Name: "max", Value: defaultMax, Usage: "share: accept at most `N` viewers at a time"},
		cmdline.Room(), cmdline.Listen(), cmdline.Addr(), cmdline.TokenFile(), cmdline.ShowToken(), cmdline.QR(), cmdline.Copy(), cmdline.TokenOnly(), ttl,
	)
}

// shareOptions say which terminal is shared, and with whom.
type shareOptions struct {
	node     nodeflags.Options
	offer    node.Offer
	terminal sharing.Options
}

func readShare(c *cli.Context, args, cmd []string) (shareOptions, error) {
	o := shareOptions{node: nodeflags.Read(c).ForTerminal(), offer: nodeflags.Offer(c)}
	o.node.Listen = c.String("listen")
	o.offer.Max, o.offer.Temporary = c.Int("max"), true
	var err error
	if o.terminal, err = sharing.Read(c); err != nil {
		return o, err
	}
	o.terminal.Name, o.terminal.Command, o.terminal.Headless, o.terminal.Titles = c.String("name"), cmd, c.Bool("headless"), !c.Bool("quiet")
	o.terminal.Stream = len(args) == 1 && args[0] == "-"
	if len(args) > 0 && !o.terminal.Stream {
		return o, proto.Hint(proto.Errorf(proto.Usage, "--share takes no PEER"), "mesh-tty --share [-- CMD…], or mesh-tty --share - for standard input")
	}
	if err := o.terminal.Check(cmdline.StreamsOf(c)); err != nil {
		return o, err
	}
	if o.offer.Max < 1 {
		return o, proto.Errorf(proto.Usage, "--max is at least 1")
	}
	return o, nil
}

func runShare(ctx context.Context, o shareOptions, s cmdline.Streams) error {
	o.node.Board = board.New(board.ModeTerminal, o.terminal.Label(), cmdline.VersionText(), nil)
	n, err := o.node.Open(s)
	if err != nil {
		return err
	}
	return n.Close(sharing.Serve(ctx, n, s, o.terminal, o.offer))
}
