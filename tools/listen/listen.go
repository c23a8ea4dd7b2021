// Package listen is mesh-listen, the waiting end. It joins one peer to standard input
// and output, offers files to one peer or to all, runs a command for each peer, or is an
// inbox that stores what peers send.
package listen

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/urfave/cli/v2"

	"mesh/pipe/term"
	"mesh/proto"
	"mesh/proto/link"
	"mesh/tools/cmdline"
	"mesh/tools/command"
	"mesh/tools/node"
	"mesh/tools/nodeflags"
	"mesh/tools/outgoing"
)

// defaultMax is the value of --max.
const defaultMax = 100

// Command returns the tool.
func Command() *cli.Command {
	return &cli.Command{
		Name:        "listen",
		Usage:       "offer files, a pipe or what CMD prints, or store what peers send",
		ArgsUsage:   "[FILE|DIR…] [-- CMD…]",
		UsageText:   "mesh-listen photos report.pdf       # to one peer: mesh-recv -C in TOKEN\nmesh-listen --serve /srv/backup     # to all who may: mesh-recv -C . nas\nmesh-listen --inbox in --by-peer    # senders: mesh-cat bob report.pdf\n",
		Description: "Flags can be set in config.toml: see mesh-config(5).",
		Flags: nodeflags.Flags(append([]cli.Flag{
			cmdline.LimitRate(),
			&cli.IntFlag{
				Name: "max", Value: defaultMax, Usage: "serve at most `N` peers at a time",
				Action: func(_ *cli.Context, n int) error {
					if n < 1 {
						return proto.Errorf(proto.Usage, "--max is at least 1")
					}
					return nil
				},
			},
			&cli.BoolFlag{Name: "serve", Usage: "offer FILE… to all peers, until stopped", DisableDefaultText: true},
			&cli.BoolFlag{Name: "once", Usage: "run CMD for one peer, and end with its status", DisableDefaultText: true},
			&cli.StringFlag{Name: "inbox", Usage: "store below `DIR` what peers send"},
			&cli.BoolFlag{Name: "by-peer", Usage: "give each peer a folder of its own in DIR", DisableDefaultText: true},
			&cli.StringFlag{Name: "on-receive", Usage: "run `CMD` in a shell for each file stored; its path is in MESH_FILE"},
			cmdline.OnReceiveTimeout(), cmdline.Metrics(),
		}, slices.Concat(outgoing.Flags("list what would be offered, and wait for nobody"), cmdline.StoreFlags(), nodeflags.ListenFlags())...)...),
		Action: func(c *cli.Context) error {
			o, err := optionsOf(c)
			if err != nil {
				return err
			}
			o.tuneProcess()
			s := cmdline.StreamsOf(c)
			if o.lasts() {
				if s, err = cmdline.DaemonStreams(c); err != nil {
					return err
				}
			}
			return run(c.Context, o, s)
		},
	}
}

// run does the work of the tool.
func run(ctx context.Context, o options, s cmdline.Streams) error {
	switch o.mode {
	case join:
		if err := s.RequireOut(); err != nil {
			return err
		}
	case offer:
		if err := o.checkFiles(); err != nil {
			return err
		}
		if o.files.DryRun {
			return o.files.List(pipeCommand, s, o.node.Receipts(s))
		}
	}
	o.node.Board = o.newBoard()
	n, err := o.node.Open(s)
	if err != nil {
		return err
	}
	switch o.mode {
	case inbox:
		err = serveInbox(ctx, n, o, s)
	case offer:
		err = offerFiles(ctx, n, o, s)
	default:
		err = servePipes(ctx, n, o, s)
	}
	return n.Close(err)
}

// servePipes joins one peer, or each one, to standard input and output or to the
// command.
func servePipes(ctx context.Context, n *node.Node, o options, s cmdline.Streams) error {
	offer := o.offer
	offer.Caps = proto.CapSend | proto.CapRecv
	offer.Tokens = []node.TokenOffer{{Caps: offer.Caps}}
	offer.Once, offer.Command = o.once || o.mode == join, "mesh-cat"
	switch {
	case o.mode == serve:
		offer.Command, offer.NoEnv = "mesh-recv", true
		offer.Also = "mesh-cat in place of mesh-recv also sends to the command"
	case sendsOnly(s):
		offer.Command = "mesh-recv"
		offer.Also = "mesh-cat in place of mesh-recv also sends"
	}
	if !offer.Once {
		offer.MaxPerPeer = (offer.Max + 1) / 2
	}
	w, err := n.Wait(offer)
	if err != nil {
		return err
	}
	defer w.Stop()
	hide, err := o.show(n, nil, nil)
	if err != nil {
		return err
	}
	defer hide()
	if !offer.Once {
		defer reloads(ctx, n, w, o, s)()
		return serveAll(ctx, n, w, s, func(l *link.Link) error { return runFor(ctx, n, l, o, s) })
	}
	l, err := w.Accept(ctx)
	switch {
	case err != nil:
		return err
	case o.mode == join:
		return n.Exchange(ctx, l, s.Source(), s.Sink())
	}
	return runFor(ctx, n, l, o, s)
}

// sendsOnly reports whether the user most likely wants to send: data waits in a pipe or a
// file, and what a peer sends would go to a terminal.
func sendsOnly(s cmdline.Streams) bool {
	f, ok := s.In.(*os.File)
	if !ok || !term.IsTerminal(s.Out) {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeDevice == 0
}

// reloads makes SIGHUP a request to read again at which hubs the listener is, and as what, and
// how fast it moves bytes.
// At a terminal SIGHUP still ends it: the terminal is gone. Call stop in the end.
func reloads(ctx context.Context, n *node.Node, w *node.Waiter, o options, s cmdline.Streams) (stop func()) {
	if o.hangups == nil || term.IsTerminal(s.Err) {
		return func() {}
	}
	hangups, ignore := o.hangups()
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-hangups:
				flags, err := o.reread(ctx)
				if err == nil {
					err = w.Reload(flags.at)
				}
				if err == nil {
					n.SetLimit(flags.limit)
				}
				if err != nil {
					s.ComplainAbout(fmt.Errorf("settings stay as they were: %w", err), "event", "reload")
				}
				n.Reloaded(err)
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		ignore()
		cancel()
		wg.Wait()
	}
}

// serveAll calls serve for each peer until ctx ends. The failure of one peer is
// printed, and ends nothing else.
func serveAll(ctx context.Context, n *node.Node, w *node.Waiter, s cmdline.Streams, serve func(*link.Link) error) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		l, err := w.Accept(ctx)
		if err != nil {
			return err
		}
		wg.Go(func() {
			err := serve(l)
			if err != nil && !errors.Is(err, context.Cause(ctx)) { // which run returns
				s.ComplainAbout(peerError(l, err), n.Party(l).About("")...)
			}
		})
	}
}

// peerError is the error of one peer, for a listener that goes on.
func peerError(l *link.Link, err error) error {
	return fmt.Errorf("peer %s at %s: %w", l.Peer.Short(), l.Addr(), err)
}

// runFor joins one peer to a run of the command.
func runFor(ctx context.Context, n *node.Node, l *link.Link, o options, s cmdline.Streams) error {
	p, err := command.Start(ctx, o.command, command.Options{Stderr: cmdline.FromPeer(s.Err), Env: n.Party(l).Env(), Group: true})
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
	err = n.Exchange(ctx, l, p.Source(), sink)
	if status := p.OwnStatus(); o.once && status != 0 && command.Failed(err) {
		return cmdline.Silent(proto.Errorf(proto.Code(status), "%w", err))
	}
	return err
}
