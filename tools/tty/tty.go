// Package tty is mesh-tty: a terminal that many can watch live, and some may type
// into. It shares one, or views one that a peer shares.
package tty

import (
	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/nodeflags"
)

// Command returns the tool.
func Command() *cli.Command {
	flags := []cli.Flag{
		&cli.BoolFlag{Name: "share", Usage: "share a terminal, instead of viewing one", DisableDefaultText: true},
		&cli.StringFlag{Name: "name", Usage: "call the session, or the viewer, `NAME`"},
	}
	flags = append(append(flags, shareFlags()...), viewFlags()...)
	quiet := &cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "leave the terminal's title alone", DisableDefaultText: true}
	return &cli.Command{
		Name:        "tty",
		Usage:       "share a terminal, or view one",
		ArgsUsage:   "[PEER] | --share [-] [-- CMD…]",
		Flags:       append(flags, cmdline.Via(), cmdline.ResumeFor(), cmdline.Deadline(), cmdline.Events(), quiet, cmdline.Verbose()),
		Subcommands: []*cli.Command{ctlCommand()},
		Action:      run,
	}
}

func run(c *cli.Context) error {
	args, cmd, err := cmdline.SplitCommand(c, 0, 1)
	if err != nil {
		return err
	}
	others, goes := shareFlags(), "with"
	if c.Bool("share") {
		others, goes = viewFlags(), "without"
	}
	for _, f := range others {
		if cmdline.Given(c, f.Names()[0]) {
			return proto.Errorf(proto.Usage, "--%s goes %s --share", f.Names()[0], goes)
		}
	}
	if c.Bool("share") {
		return shared(c, args, cmd)
	}
	if cmd != nil {
		return proto.Hint(proto.Errorf(proto.Usage, "a command goes with --share"), "mesh-tty --share -- CMD…")
	}
	n, err := nodeflags.Read(c).ForTerminal().Open(cmdline.StreamsOf(c))
	if err != nil {
		return err
	}
	return n.Close(viewed(c, n, args))
}
