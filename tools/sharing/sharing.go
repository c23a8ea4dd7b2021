// Package sharing is what the tools that share a terminal have in common.
package sharing

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"mesh/pipe/term/host"
	"mesh/pipe/term/share"
	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/wire"
	"mesh/tools/cmdline"
	"mesh/tools/node"
)

// Serve shares what the options say with everybody whom a token or the list of
// authorised peers lets in, and ends with the command's status. The offer says
// how many there may be at once, and which tokens are shown.
func Serve(ctx context.Context, n *node.Node, s cmdline.Streams, o host.HostOptions, offer node.Offer) error {
	var err error
	if o.SocketDir, err = socketDir(); err != nil {
		return err
	}
	h, err := host.NewHost(o)
	if err != nil {
		return err
	}
	err = serve(ctx, n, h, offer)
	cerr := h.Close()
	if err == nil {
		return cerr
	}
	if cerr != nil {
		s.Complain(cerr)
	}
	return err
}

// Tokens are the tokens of a session: one for viewers, and with control one more for
// viewers that may type.
func Tokens(control bool) []node.TokenOffer {
	view := node.TokenOffer{Caps: proto.CapTTYView}
	if !control {
		return []node.TokenOffer{view}
	}
	return []node.TokenOffer{view, {Caps: proto.CapTTYView | proto.CapTTYControl, Suffix: ".control", Where: "to type there too"}}
}

func serve(ctx context.Context, n *node.Node, h *host.Host, offer node.Offer) error {
	offer.Caps = proto.CapTTYView | proto.CapTTYControl
	offer.Takes = func(kind string) bool { return kind == wire.KindTTY }
	offer.Command = "mesh-tty"
	w, err := n.Wait(offer)
	if err != nil {
		return err
	}
	defer w.Stop()
	exit, err := h.Run(ctx, func(ctx context.Context) { viewers(ctx, n, w, h.Session) })
	if err == nil && exit.Code != 0 {
		return cmdline.Silent(proto.Errorf(proto.Code(exit.Code), "the command ended with status %d", exit.Code))
	}
	return err
}

// viewers lets viewers in until ctx ends. Then the links of those who have seen
// the end get the time for an orderly close.
func viewers(ctx context.Context, n *node.Node, w *node.Waiter, s *share.Session) {
	links, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	context.AfterFunc(ctx, func() {
		time.AfterFunc(proto.CloseTimeout, func() { cut(context.Cause(ctx)) })
	})
	for {
		l, err := w.Accept(ctx)
		if err != nil {
			if ctx.Err() == nil {
				n.Log.Warn("no more viewers are let in", "err", err)
			}
			return
		}
		wg.Go(func() {
			if err := view(links, n, l, s); err != nil {
				n.Log.Info("viewer is gone", "peer", l.Peer, "addr", l.Addr(), "err", err)
			}
		})
	}
}

func view(ctx context.Context, n *node.Node, l *link.Link, s *share.Session) error {
	who := share.Visitor{ID: l.Peer.String(), Name: n.Book.NameOf(l.Peer), Addr: l.Addr().String(), Caps: l.Granted}
	return n.Dialogue(ctx, l, nil, func(ctx context.Context, from *io.PipeReader, to *io.PipeWriter) error {
		return s.Serve(ctx, from, to, who)
	})
}

// Sockets returns the paths of the sockets of this user's sessions that run.
func Sockets() []string {
	dir, err := socketDir()
	if err != nil {
		return nil
	}
	names, _ := filepath.Glob(filepath.Join(dir, host.SocketPrefix+"*")) // fails for a bad pattern only
	return slices.DeleteFunc(names, func(name string) bool {
		conn, err := net.Dial("unix", name)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil // left by one that was killed
	})
}

// socketDir is where the sockets of sessions are: in the folder that is this
// login's alone, if there is one, else with the node's state.
func socketDir() (string, error) {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) && os.Getenv("MESH_HOME") == "" {
		return filepath.Join(dir, "mesh"), nil
	}
	home, err := cmdline.Home()
	return filepath.Join(home, "tty"), err
}
