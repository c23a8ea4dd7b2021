// Package tty is mesh-tty. It shares a terminal that many peers can watch live, and
// some may type into, or it views a terminal that a peer shares.
package tty

import (
	"context"
	"os"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/node"
)

// Command returns the tool.
func Command() *cli.Command {
	flags := []cli.Flag{
		&cli.BoolFlag{Name: "share", Usage: "share a terminal instead of viewing one", DisableDefaultText: true},
		&cli.StringFlag{Name: "as", Usage: "be called `NAME`: share: at the hub; view: in the sharer's list"},
	}
	flags = append(append(flags, shareFlags()...), viewFlags()...)
	quiet := &cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "leave the title of the terminal alone", DisableDefaultText: true}
	return &cli.Command{
		Name:        "tty",
		Usage:       "share a terminal, or view one",
		ArgsUsage:   "[PEER] | --share [-] [-- CMD…]",
		UsageText:   "mesh-tty --share                    # the viewers: MESH_PEER=TOKEN mesh-tty\nmesh-tty --share --control -- vim f # a second token allows typing\nmesh-tty --plain @token | grep err  # lines of text instead of a screen\n",
		Flags:       append(flags, cmdline.Hub(), cmdline.Via(), cmdline.ResumeFor(), cmdline.Deadline(), cmdline.Events(), quiet, cmdline.Verbose()),
		Subcommands: []*cli.Command{ctlCommand()},
		Action: func(c *cli.Context) error {
			o, err := readOptions(c)
			if err != nil {
				return err
			}
			s := cmdline.StreamsOf(c)
			if o.share != nil && o.share.terminal.Headless {
				if s, err = cmdline.DaemonStreams(c); err != nil {
					return err
				}
			}
			return run(c.Context, o, s)
		},
	}
}

// options are the flags and arguments of mesh-tty: one of the two is set.
type options struct {
	share *shareOptions
	view  *viewOptions
}

func readOptions(c *cli.Context) (options, error) {
	args, cmd, err := cmdline.SplitCommand(c, 0, -1)
	if err != nil {
		return options{}, err
	}
	if c.Bool("share") {
		if err := refuseGiven(c, viewFlags(), "cannot be combined with --share"); err != nil {
			return options{}, err
		}
		if len(args) > 1 {
			return options{}, cmdline.TooMany(c, len(args), 1)
		}
		o, err := readShare(c, args, cmd)
		return options{share: &o}, err
	}
	if cmdline.Given(c, "name") {
		return options{}, proto.Hint(proto.Errorf(proto.Usage, "--name is the name of a shared session"), "--as NAME is what the sharer calls this viewer")
	}
	if err := refuseGiven(c, shareFlags(), "goes with --share"); err != nil {
		return options{}, err
	}
	if cmd != nil {
		return options{}, proto.Hint(proto.Errorf(proto.Usage, "a command goes with --share"), "mesh-tty --share -- CMD…")
	}
	peer, rest, err := node.PeerOf(args, os.Getenv(node.EnvPeer))
	if err != nil {
		return options{}, err
	}
	if len(rest) > 0 {
		return options{}, cmdline.TooMany(c, 1+len(rest), 1)
	}
	o, err := readView(c, peer)
	return options{view: &o}, err
}

// refuseGiven returns an error if one of the flags is on the command line.
func refuseGiven(c *cli.Context, flags []cli.Flag, why string) error {
	for _, f := range flags {
		if name := f.Names()[0]; cmdline.Given(c, name) {
			return proto.Errorf(proto.Usage, "--%s %s", name, why)
		}
	}
	return nil
}

func run(ctx context.Context, o options, s cmdline.Streams) error {
	if o.share != nil {
		return runShare(ctx, *o.share, s)
	}
	return runView(ctx, *o.view, s)
}
