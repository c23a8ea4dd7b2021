// Package sharing serves a shared terminal to viewers, for mesh-tty --share.
package sharing

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"mesh/pipe/local"
	"mesh/pipe/term/host"
	"mesh/pipe/term/share"
	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/wire"
	"mesh/tools/board"
	"mesh/tools/cmdline"
	"mesh/tools/node"
)

// Serve shares a terminal with the peers that a token or the list of authorized peers
// admits. It returns when the command has ended, with an error that has the command's
// exit status, or when ctx ends. The offer says how many viewers there may be and how
// they find this node; Serve sets what they may do. o must have passed [Options.Check].
func Serve(ctx context.Context, n *node.Node, s cmdline.Streams, o Options, offer node.Offer) error {
	var waiter *node.Waiter // set before the session begins
	ho := o.host(s)
	ho.Tokens = func(isClosed func(id string) bool) ([]share.Token, error) { return tokensOf(waiter, isClosed) }
	ho.Warn = func(err error) { n.Warn(fmt.Errorf("mesh-tty ctl cannot control this session: %w", err)) }
	stopTelling, err := o.startTelling(n, s, &ho)
	if err != nil {
		return err
	}
	defer stopTelling()
	h, err := host.New(ho)
	if err != nil {
		return err
	}
	offer.Tokens = tokens(o.Control)
	err = serve(ctx, n, h, offer, func(w *node.Waiter) error {
		waiter = w
		if n.HasPrinted() && o.takesScreen(s) {
			return waitForKey(ctx, s, ho.In, ho.Command[0])
		}
		return nil
	})
	cerr := h.Close()
	if err == nil {
		return cerr
	}
	if cerr != nil {
		s.Complain(cerr)
	}
	return err
}

// tokens returns the tokens of a session: one for viewers, and with control another
// one for viewers that may type.
func tokens(control bool) []node.TokenOffer {
	view := node.TokenOffer{Caps: proto.CapTTYView}
	if !control {
		return []node.TokenOffer{view}
	}
	return []node.TokenOffer{view, {Caps: proto.CapTTYView | proto.CapTTYControl, Suffix: ".control", Where: "to type there too"}}
}

// tokensOf returns the tokens of a waiter, each with the command that uses it.
func tokensOf(w *node.Waiter, isClosed func(id string) bool) ([]share.Token, error) {
	tokens, texts, err := w.Tokens(isClosed)
	if err != nil {
		return nil, err
	}
	var list []share.Token
	for i, code := range w.Codes() {
		if code != "" {
			list = append(list, share.Token{Text: code, How: "mesh-tty " + code, Rights: tokens[i].Caps.String()})
		}
	}
	for i, t := range tokens {
		list = append(list, share.Token{Text: texts[i], How: node.EnvPeer + "=" + texts[i] + " mesh-tty", Rights: t.Caps.String()})
	}
	return list, nil
}

// serve calls begun with the waiter, before the session begins.
func serve(ctx context.Context, n *node.Node, h *host.Host, offer node.Offer, begun func(*node.Waiter) error) error {
	offer.Caps = proto.CapTTYView | proto.CapTTYControl
	offer.Takes = func(kind string) bool { return kind == wire.KindTTY }
	offer.Command = "mesh-tty"
	w, err := n.Wait(offer)
	if err != nil {
		return err
	}
	defer w.Stop()
	if err := begun(w); err != nil {
		return err
	}
	if b := n.Board(); b != nil {
		b.Fill = func(c *board.Card) { fill(c, h.Session, offer.Max) }
		defer n.Post(b)()
	}
	exit, err := h.Run(ctx, func(ctx context.Context) { acceptViewers(ctx, n, w, h.Session) })
	if err == nil && exit.Code != 0 {
		return cmdline.Silent(proto.Errorf(proto.Code(exit.Code), "the command ended with status %d", exit.Code))
	}
	return err
}

// fill completes the card of a shared terminal.
func fill(c *board.Card, s *share.Session, places int) {
	status := s.Status()
	c.Places, c.Taken = places, status.Viewers
	c.Terminal = &board.Terminal{
		Viewers: status.Viewers, Writers: status.Writers, Asking: status.Asking, Paused: status.Paused, Snapshots: s.Snapshots(),
	}
}

// acceptViewers serves viewers until ctx ends. Their links then have
// [proto.CloseTimeout] for an orderly close.
func acceptViewers(ctx context.Context, n *node.Node, w *node.Waiter, s *share.Session) {
	links, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	context.AfterFunc(ctx, func() {
		time.AfterFunc(proto.CloseTimeout, func() { cancel(context.Cause(ctx)) })
	})
	for {
		l, err := w.Accept(ctx)
		if err != nil {
			if ctx.Err() == nil {
				n.Log.Warn("no more viewers are accepted", "err", err)
			}
			return
		}
		wg.Go(func() {
			if err := serveViewer(links, n, l, s); err != nil {
				n.Log.Info("viewer disconnected", "peer", l.Peer, "addr", l.Addr(), "err", err)
			}
		})
	}
}

func serveViewer(ctx context.Context, n *node.Node, l *link.Link, s *share.Session) error {
	viewer := share.Visitor{ID: l.Peer.String(), Name: n.Book.NameOf(l.Peer), Addr: l.Addr().String(), Caps: l.Granted}
	if l.Token != nil {
		viewer.Token = l.Token.String()
	}
	return n.Dialogue(ctx, l, nil, func(ctx context.Context, from *io.PipeReader, to *io.PipeWriter) error {
		return s.Serve(ctx, from, to, viewer)
	})
}

// Sockets returns the paths of the sockets in dir whose sessions still run.
func Sockets(dir string) []string {
	names, _ := filepath.Glob(filepath.Join(dir, host.SocketPrefix+"*")) // fails for a bad pattern only
	return slices.DeleteFunc(names, func(name string) bool {
		conn, err := local.Dial(context.Background(), name)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil // the session was killed
	})
}
