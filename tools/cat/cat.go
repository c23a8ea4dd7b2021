// Package cat is mesh-cat, the calling end of a pipe: standard input, or what a
// command prints, goes to the peer; what the peer sends back goes to standard
// output.
package cat

import (
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/pipe"
	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/command"
	"mesh/tools/node"
)

// Command returns the tool.
func Command() *cli.Command {
	return &cli.Command{
		Name:      "cat",
		Usage:     "send standard input, or what CMD prints, to a peer",
		ArgsUsage: "[PEER] [-- CMD…]",
		Flags:     node.Flags(cmdline.Wait()),
		Action:    run,
	}
}

func run(c *cli.Context) error {
	args, cmd, err := cmdline.SplitCommand(c, 0, 1)
	if err != nil {
		return err
	}
	cmdline.OneProcessor()
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
	if cmd == nil {
		return send(c.Context, n, peer, c.Duration("wait"), node.Stdin(c), node.Stdout(c))
	}
	if err := command.Check(cmd); err != nil {
		return err
	}
	p, err := command.Start(c.Context, cmd, command.Options{Stdin: c.App.Reader, Stderr: c.App.ErrWriter})
	if err != nil {
		return err
	}
	defer p.Stop()
	return send(c.Context, n, peer, c.Duration("wait"), p.Source(), node.Stdout(c))
}

// send links to the peer and sends it the source. What the peer sends back, if
// it may and does, goes to the sink.
func send(ctx context.Context, n *node.Node, peer node.Peer, wait time.Duration, source *pipe.Source, sink *pipe.Sink) error {
	l, closeSocket, err := n.Dial(ctx, peer, proto.CapSend|proto.CapRecv, proto.CapSend, wait)
	if err != nil {
		return err
	}
	defer closeSocket()
	return n.Exchange(ctx, l, source, sink)
}
