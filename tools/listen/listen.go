// Package listen is mesh-listen, the waiting end of a pipe: it joins one peer to
// standard input and output, runs a command for each peer that comes, or is an
// inbox that stores what they send.
package listen

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/tools/cmdline"
	"mesh/tools/command"
	"mesh/tools/node"
	"mesh/tools/sharing"
)

// defaultMax is how many peers are served at once if --max says nothing.
const defaultMax = 100

// Command returns the tool.
func Command() *cli.Command {
	store := cmdline.StoreFlags()
	store[0].(*cli.StringFlag).Usage += "; tty: call the session so"
	return &cli.Command{
		Name:        "listen",
		Usage:       "join a peer to standard input and output or to CMD, or store what peers send",
		ArgsUsage:   "[-- CMD…]",
		Description: "Flags can be set in config.toml: see mesh-config(5).",
		Flags: node.Flags(append([]cli.Flag{
			&cli.IntFlag{
				Name: "max", Value: defaultMax, Usage: "serve at most `N` peers at a time",
				Action: func(_ *cli.Context, n int) error {
					if n < 1 {
						return proto.Errorf(proto.Usage, "--max is at least 1")
					}
					return nil
				},
			},
			&cli.BoolFlag{Name: "tty", Usage: "share one terminal, with CMD in it, with all peers that come", DisableDefaultText: true},
			&cli.BoolFlag{Name: "once", Usage: "run CMD for one peer, and end with its status", DisableDefaultText: true},
			&cli.StringFlag{Name: "inbox", Usage: "store below `DIR` what peers send"},
			&cli.BoolFlag{Name: "by-peer", Usage: "give each peer a folder of its own in DIR", DisableDefaultText: true},
			&cli.StringFlag{Name: "on-receive", Usage: "run `CMD` by a shell for what was stored, which is in MESH_FILE"},
			cmdline.OnReceiveTimeout(),
		}, slices.Concat(sharing.Flags("tty"), store, node.ListenFlags())...)...),
		Action: run,
	}
}

func run(c *cli.Context) error {
	_, cmd, err := cmdline.SplitCommand(c, 0, 0)
	if err != nil {
		return err
	}
	if err := check(c, cmd); err != nil {
		return err
	}
	if c.Bool("tty") {
		return shareTerminal(c, cmd)
	}
	isInbox := cmd == nil && c.String("inbox") != ""
	if !isInbox {
		cmdline.Bulk()
	}
	n, err := node.Open(c)
	if err != nil {
		return err
	}
	if isInbox {
		return n.Close(inbox(c, n))
	}
	return n.Close(listen(c, n, cmd))
}

// check wants the flags to go together. A CMD and a terminal come before an
// inbox of the settings.
func check(c *cli.Context, cmd []string) error {
	isInbox, tty := c.String("inbox") != "", c.Bool("tty")
	switch {
	case (cmd != nil || tty) && isInbox && cmdline.Given(c, "inbox"):
		return proto.Errorf(proto.Usage, "either --inbox or a command or a terminal")
	case tty && c.Bool("once"):
		return proto.Errorf(proto.Usage, "either --tty or --once")
	case tty:
		isInbox = false
	case cmd == nil && !isInbox && cmdline.Given(c, "max"), cmd == nil && cmdline.Given(c, "once"):
		return proto.Hint(proto.Errorf(proto.Usage, "--max and --once go with a command"), "mesh-listen --once -- CMD…")
	case cmd != nil:
		isInbox = false
	}
	for _, f := range sharing.Flags("tty") {
		if flag := f.Names()[0]; !tty && cmdline.Given(c, flag) {
			return proto.Errorf(proto.Usage, "--%s goes with --tty", flag)
		}
	}
	for _, flag := range []string{"by-peer", "on-receive", "on-receive-timeout", "force", "rename", "portable", cmdline.MaxSizeName, cmdline.MaxFilesName} {
		if !isInbox && cmdline.Given(c, flag) {
			return proto.Errorf(proto.Usage, "--%s goes with --inbox", flag)
		}
	}
	if !isInbox && !tty && cmdline.Given(c, "name") {
		return proto.Errorf(proto.Usage, "--name goes with --inbox or --tty")
	}
	if cmd != nil {
		return command.Check(cmd)
	}
	return nil
}

func listen(c *cli.Context, n *node.Node, cmd []string) error {
	once := cmd == nil || c.Bool("once")
	w, err := n.Wait(c, node.Offer{Caps: proto.CapSend | proto.CapRecv, Max: c.Int("max"), Once: once, Command: "mesh-cat"})
	if err != nil {
		return err
	}
	defer w.Close()
	if !once {
		return serve(c, n, w, cmd)
	}
	l, err := w.Accept(c.Context)
	switch {
	case err != nil:
		return err
	case cmd == nil:
		return n.Exchange(c.Context, l, cmdline.StreamsOf(c).Source(), cmdline.StreamsOf(c).Sink())
	}
	return runFor(c, n, l, cmd)
}

// serve runs cmd for each peer until it is stopped. One peer's failure is told
// and ends nothing else.
func serve(c *cli.Context, n *node.Node, w *node.Waiter, cmd []string) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		l, err := w.Accept(c.Context)
		if err != nil {
			return err
		}
		wg.Go(func() {
			err := runFor(c, n, l, cmd)
			if err != nil && !errors.Is(err, context.Cause(c.Context)) { // our own end is told once
				cmdline.Complain(c, fmt.Errorf("peer %s at %s: %w", l.Peer.Short(), l.Addr(), err))
			}
		})
	}
}

// runFor joins one peer to a run of cmd.
func runFor(c *cli.Context, n *node.Node, l *link.Link, cmd []string) error {
	p, err := command.Start(c.Context, cmd, command.Options{Stderr: c.App.ErrWriter, Env: n.Party(l).Env(), Group: true})
	if err != nil {
		l.Close(err)
		return err
	}
	defer p.Stop()
	sink := p.Sink()
	switch {
	case !l.Granted.Has(proto.CapSend):
		p.CloseInput()
	case !l.Granted.Has(proto.CapRecv):
		sink = p.LastSink()
	}
	err = n.Exchange(c.Context, l, p.Source(), sink)
	if status := p.OwnStatus(); c.Bool("once") && status != 0 && proto.CodeOf(err) == proto.Producer {
		return cmdline.Silent(proto.Errorf(proto.Code(status), "%w", err))
	}
	return err
}
