// Package cat is mesh-cat, the calling end of a pipe: standard input, or what a
// command prints, goes to the peer; what the peer sends back goes to standard
// output.
package cat

import (
	"github.com/urfave/cli/v2"

	"mesh/pipe"
	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/cmdline/command"
	"mesh/tools/cmdline/node"
)

// Command returns the tool.
func Command() *cli.Command {
	return &cli.Command{
		Name:      "cat",
		Usage:     "send standard input, or what CMD prints, to a peer",
		ArgsUsage: "[PEER] [-- CMD…]",
		Flags:     node.Flags(cmdline.Wait(), cmdline.Flows()),
		Action:    run,
	}
}

func run(c *cli.Context) error {
	args, cmd, err := cmdline.SplitCommand(c, 0, 1)
	if err != nil {
		return err
	}
	cmdline.Bulk()
	n, err := node.Open(c)
	if err != nil {
		return err
	}
	return n.Close(cat(c, n, args, cmd))
}

func cat(c *cli.Context, n *node.Node, args, cmd []string) error {
	peer, err := n.Peer(args)
	if err != nil {
		return err
	}
	if cmd != nil {
		if err := command.Check(cmd); err != nil {
			return err
		}
	}
	var source *pipe.Source // a command's is there when it runs
	if cmd == nil {
		source = node.Stdin(c)
	}
	l, closeSocket, err := n.Dial(c.Context, peer, proto.CapSend|proto.CapRecv, proto.CapSend, source, c.Duration("wait"))
	if err != nil {
		return err
	}
	defer closeSocket()
	if cmd == nil {
		return n.Exchange(c.Context, l, source, node.Stdout(c))
	}
	// Not before the link is there: a command may do more than print.
	p, err := command.Start(c.Context, cmd, command.Options{Stdin: c.App.Reader, Stderr: c.App.ErrWriter, Env: n.Env(l)})
	if err != nil {
		l.Close(err)
		return err
	}
	defer p.Stop()
	err = n.Exchange(c.Context, l, p.Source(), node.Stdout(c))
	if status := p.OwnStatus(); status != 0 && proto.CodeOf(err) == proto.Producer {
		// The peer has ended its own command because of this, and that is the
		// status that it tells.
		return proto.Errorf(proto.Producer, "the sending command ended with status %d", status)
	}
	return err
}
