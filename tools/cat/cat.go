// Package cat is mesh-cat, the dialer of a pipe. It sends standard input, the output
// of a command, or files and folders to a peer. What the peer sends back goes to
// standard output.
package cat

import (
	"context"
	"errors"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/tools/cmdline"
	"mesh/tools/command"
	"mesh/tools/node"
	"mesh/tools/nodeflags"
	"mesh/tools/outgoing"
	"mesh/tools/runs"
)

// Command returns the tool.
func Command() *cli.Command {
	return &cli.Command{
		Name:      "cat",
		Usage:     "send standard input, files, or what CMD prints to a peer",
		ArgsUsage: "[PEER[,PEER…] [FILE|DIR…]] [-- CMD…]",
		UsageText: "mesh-cat bob photos report.pdf      # into the folder of his mesh-recv -C\ntar cf - dir | mesh-cat TOKEN       # TOKEN: what the other side prints\nmesh-cat @token -- pg_dump shop     # its failure is told to the other side\n",
		Flags: nodeflags.Flags(append(outgoing.Flags("list what would be sent, and call nobody"),
			append(runs.Flags(), append(branchFlags(), pipeName(), cmdline.Trust(), cmdline.Wait(), cmdline.Flows(), cmdline.LimitRate())...)...)...),
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

// pipeName is --name NAME.
func pipeName() cli.Flag {
	return &cli.StringFlag{
		Name:  "name",
		Usage: "call a pipe `NAME`, under which an inbox stores it; {date}, {time}, {host} and {job} are filled in",
	}
}

// run does the work of the tool.
func run(ctx context.Context, o options, s cmdline.Streams) error {
	if o.files.DryRun {
		if err := o.checkSource(s); err != nil {
			return err
		}
		return o.files.List(pipeCommand, s, o.node.Receipts(s))
	}
	// A name with the date stays the same when a try is after midnight.
	name := o.pipeName(time.Now())
	var n *node.Node
	o.runs.Close = func(err error) error {
		if n == nil {
			return err
		}
		return n.Close(err)
	}
	return o.runs.Run(ctx, s, func(ctx context.Context, try runs.Try) (runs.Facts, error) {
		err := o.checkSource(s)
		if err == nil && n == nil {
			n, err = o.node.Open(s)
		}
		if err == nil && o.branches != nil {
			return sendToAll(ctx, n, o, s, name, try)
		}
		if err == nil {
			err = send(ctx, n, o, s, name, try)
		}
		facts := runs.FactsOf(n)
		facts.Name = name
		return facts, err
	})
}

// checkSource finds a missing source before a peer is called.
func (o options) checkSource(s cmdline.Streams) error {
	switch {
	case o.files.Names != nil:
		return o.files.CheckFiles(pipeCommand)
	case o.command != nil:
		return nil
	}
	return s.RequireIn()
}

func send(ctx context.Context, n *node.Node, o options, s cmdline.Streams, name string, try runs.Try) error {
	peer, err := n.Peer(ctx, o.peer)
	if err != nil {
		return err
	}
	switch {
	case o.files.Names != nil:
		return sendFiles(ctx, n, peer, o, s)
	case o.command != nil:
		return sendCommand(ctx, n, peer, o, s, name, try)
	}
	source := s.Source()
	l, err := dialPipe(ctx, n, peer, node.Request{Name: name, Source: source, Wait: o.wait})
	if err != nil {
		return err
	}
	return n.Exchange(ctx, l, source, s.Sink())
}

// sendCommand sends the output of a command.
func sendCommand(ctx context.Context, n *node.Node, peer node.Peer, o options, s cmdline.Streams, name string, try runs.Try) error {
	if err := command.Check(o.command); err != nil {
		return err
	}
	l, err := dialPipe(ctx, n, peer, node.Request{Name: name, Wait: o.wait})
	if err != nil {
		return err
	}
	// The command starts once the link is there: it may do more than print.
	p, err := command.Start(ctx, o.command, command.Options{Stdin: s.In, Stderr: s.Err, Env: append(n.Party(l).Env(), try.Env()...)})
	if err != nil {
		l.Close(err)
		return err
	}
	defer p.Stop()
	err = n.Exchange(ctx, l, p.Source(), s.Sink())
	if status := p.OwnStatus(); status != 0 && command.Failed(err) {
		// The peer may have ended a command of its own because of this one, and then
		// it reports the status of that.
		return proto.Errorf(proto.Producer, "the command ended with status %d", status)
	}
	return err
}

// dialPipe links to a peer that takes a pipe, and sends one back if it is allowed to.
func dialPipe(ctx context.Context, n *node.Node, peer node.Peer, r node.Request) (l *link.Link, err error) {
	r.Want, r.Need = proto.CapSend|proto.CapRecv, proto.CapSend
	l, err = n.Dial(ctx, peer, r)
	if errors.Is(err, node.ErrKind) {
		return nil, orPairs(peer, proto.Hint(err, "the peer takes files: mesh-cat PEER FILE…; an inbox also takes a pipe that --name names"))
	}
	return l, err
}

// orPairs adds a hint to the error of a peer that takes another kind of transfer.
func orPairs(peer node.Peer, err error) error {
	if peer.Token == nil {
		return err
	}
	return proto.Hint(err, "or the token is for pairing: mesh-pair TOKEN takes it")
}
