// Package pair is mesh-pair, which makes two nodes know each other for good. One shows a
// code, or without a hub a token, and the other one types it; then each has the other in
// its address book.
package pair

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/node"
)

// Command returns the tool.
func Command() *cli.Command {
	return &cli.Command{
		Name:      "pair",
		Usage:     "let two machines know each other for good",
		ArgsUsage: "[CODE|TOKEN]",
		UsageText: "mesh-pair                                   # shows CODE\nmesh-pair 7-guitar-croissant-lunchbox       # on the other side\nmesh-pair --name bob --allow send,recv CODE # in a script: no question\n",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "name", Usage: "call the other side `NAME` here", DefaultText: "a person is asked; its name at the hub, or what it calls itself"},
			&cli.StringFlag{Name: "allow", Usage: "what it may do here: `CAPS`, with commas between, are send (to this machine), recv (from this machine), tty:view and tty:control; none: nothing", DefaultText: "a person is asked; send"},
			cmdline.Listen(), cmdline.Addr(), cmdline.TokenFile(), cmdline.ShowToken(), cmdline.QR(), cmdline.Copy(), cmdline.TTL(), cmdline.Wait(),
			cmdline.Hub(), cmdline.Via(), cmdline.Deadline(), cmdline.Events(), cmdline.Quiet(), cmdline.Verbose(),
		},
		Action: func(c *cli.Context) error {
			o, err := optionsOf(c)
			if err != nil {
				return err
			}
			return run(c.Context, o, cmdline.StreamsOf(c))
		},
	}
}

// run does the work of the tool.
func run(ctx context.Context, o options, s cmdline.Streams) error {
	n, err := o.node.Open(s)
	if err != nil {
		return err
	}
	return n.Close(pair(ctx, n, o, s))
}

func pair(ctx context.Context, n *node.Node, o options, s cmdline.Streams) error {
	d := decision{options: o, book: n.Book}
	if s.CanAsk() {
		d.ask = func(ctx context.Context, question string) (string, error) {
			return s.AskLine(ctx, question, cmdline.AskFor)
		}
		d.tell = s.Complain
	}
	_, terms, err := n.Pair(ctx, node.Pairing{Peer: o.peer, Offer: o.offer, Decide: d.decide})
	if err != nil {
		return err
	}
	if !o.node.Quiet {
		fmt.Fprintf(s.Err, "%s: %s is in the address book; %s\n", s.Name, terms.Name, inWords(terms.Caps))
	}
	return nil
}

// inWords says what a node may do here.
func inWords(caps proto.Caps) string {
	if caps == 0 {
		return "it may do nothing here"
	}
	return "here it may: " + caps.String()
}
