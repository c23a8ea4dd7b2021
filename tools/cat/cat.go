// Package cat is mesh-cat, the calling end of a pipe: standard input, what a
// command prints, or files and folders go to the peer; what the peer sends back
// goes to standard output.
package cat

import (
	"errors"

	"github.com/urfave/cli/v2"

	"mesh/pipe"
	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/tools/cmdline"
	"mesh/tools/command"
	"mesh/tools/node"
)

// Command returns the tool.
func Command() *cli.Command {
	return &cli.Command{
		Name:      "cat",
		Usage:     "send standard input, files, or what CMD prints to a peer",
		ArgsUsage: "[PEER [FILE|DIR…]] [-- CMD…]",
		Flags: node.Flags(
			&cli.BoolFlag{Name: "archive", Usage: "send what FILE, a zip or a tar, holds", DisableDefaultText: true},
			&cli.BoolFlag{Name: "symlinks", Usage: "send symbolic links that stay within the folder too", DisableDefaultText: true},
			&cli.BoolFlag{Name: "skip-special", Usage: "leave out what is neither file nor folder, instead of failing", DisableDefaultText: true},
			&cli.BoolFlag{Name: "dry-run", Usage: "list what would be sent, and call nobody", DisableDefaultText: true},
			cmdline.Wait(), cmdline.Flows(),
		),
		Action: run,
	}
}

func run(c *cli.Context) error {
	args, cmd, err := cmdline.SplitCommand(c, 0, -1)
	if err != nil {
		return err
	}
	var names []string
	if len(args) > 1 {
		args, names = args[:1], args[1:]
	}
	for _, flag := range []string{"archive", "symlinks", "skip-special", "dry-run"} {
		if c.Bool(flag) && names == nil {
			return proto.Hint(proto.Errorf(proto.Usage, "--%s goes with files", flag), "mesh-cat --"+flag+" PEER FILE…")
		}
	}
	if names != nil && cmd != nil {
		return proto.Errorf(proto.Usage, "either files or a command can be sent")
	}
	if err := checkThere(c, names); err != nil {
		return err
	}
	if c.Bool("dry-run") {
		return list(c, names)
	}
	switch {
	case names == nil:
		cmdline.Bulk()
	case !c.Bool("archive"): // what that lists is kept in memory
		cmdline.LittleMemory()
		cmdline.OneProcessor()
	}
	n, err := node.Open(c)
	if err != nil {
		return err
	}
	return n.Close(cat(c, n, args, names, cmd))
}

func cat(c *cli.Context, n *node.Node, args, names, cmd []string) error {
	peer, err := n.Peer(args)
	if err != nil {
		return err
	}
	if names != nil {
		return sendFiles(c, n, peer, names)
	}
	if cmd != nil {
		if err := command.Check(cmd); err != nil {
			return err
		}
	}
	var source *pipe.Source // a command's is there when it runs
	if cmd == nil {
		source = cmdline.StreamsOf(c).Source()
	}
	l, closeSocket, err := n.Dial(c.Context, peer, proto.CapSend|proto.CapRecv, proto.CapSend, source, c.Duration("wait"))
	if errors.Is(err, handshake.ErrKind) {
		return proto.Hint(err, "the peer takes files: mesh-cat PEER FILE…")
	}
	if err != nil {
		return err
	}
	defer closeSocket()
	if cmd == nil {
		return n.Exchange(c.Context, l, source, cmdline.StreamsOf(c).Sink())
	}
	// Not before the link is there: a command may do more than print.
	p, err := command.Start(c.Context, cmd, command.Options{Stdin: c.App.Reader, Stderr: c.App.ErrWriter, Env: n.Party(l).Env()})
	if err != nil {
		l.Close(err)
		return err
	}
	defer p.Stop()
	err = n.Exchange(c.Context, l, p.Source(), cmdline.StreamsOf(c).Sink())
	if status := p.OwnStatus(); status != 0 && proto.CodeOf(err) == proto.Producer {
		// The peer has ended its own command because of this, and that is the
		// status that it tells.
		return proto.Errorf(proto.Producer, "the command ended with status %d", status)
	}
	return err
}
