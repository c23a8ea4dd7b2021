package recv

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"mesh/pipe"
	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/wire"
	"mesh/tools/node"
)

// transfer is one that has begun: over a link, or handed over by a daemon.
type transfer struct {
	kind   string
	minor  int    // version of the protocol that the sender speaks
	peer   string // node id
	ledger *files.Ledger
	from   string // the peer's name in messages
	// progress is what the side of files counts in; nil if nobody looks.
	progress *files.Progress
	pipe     func(context.Context, *pipe.Sink) error
	files    func(context.Context, filesSide) error
	end      func(error) // in place of pipe and files
	// await hides the progress line of this transfer until the user has answered.
	await func() (answered func())
}

// filesSide is the receiver of a transfer of files.
type filesSide func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error)

// openTransfer returns the transfer, and the function that ends waiting for it.
func openTransfer(ctx context.Context, n *node.Node, o options, kinds []string) (transfer, func(), error) {
	if o.next {
		t, err := takeDelivery(ctx, n, o.offer.Wait, kinds)
		return t, func() {}, err
	}
	l, done, err := openLink(ctx, n, o, kinds)
	if err != nil {
		return transfer{}, nil, err
	}
	party := n.Party(l)
	from := party.Label()
	if party.Trust == node.GradeCode {
		from += " (trust=" + string(party.Trust) + ")"
	}
	p := n.NewProgress()
	return transfer{
		kind: l.Kind, progress: p, minor: l.Minor, peer: l.Peer.String(), ledger: n.Ledger, from: from, end: l.Close, await: n.Await,
		pipe: func(ctx context.Context, sink *pipe.Sink) error { return n.Exchange(ctx, l, nil, sink) },
		files: func(ctx context.Context, side filesSide) error {
			_, err := n.ReceiveFiles(ctx, l, p, side)
			return err
		},
	}, done, nil
}

// dialFor links to a peer that sends one of the kinds. It asks for one after the other:
// a peer refuses a kind before it counts a use of the token. An older peer does not know
// [wire.KindTake], and refuses it as it refuses a wrong token.
func dialFor(ctx context.Context, n *node.Node, peer node.Peer, o options, kinds []string) (l *link.Link, err error) {
	for i, kind := range kinds {
		r := node.Request{Want: proto.CapRecv, Need: proto.CapRecv, Wait: o.offer.Wait}
		if kind != wire.KindPipe {
			r.Kind = kind
		}
		l, err = n.Dial(ctx, peer, r)
		unknown := kind == wire.KindTake && proto.CodeOf(err) == proto.Denied && !peer.ByCode()
		if unknown && i+1 == len(kinds) {
			err = proto.Hint(err, "or its mesh is older, and has no lists and NAMEs: mesh-recv -C DIR PEER takes all that it offers")
		}
		if !errors.Is(err, node.ErrKind) && (!unknown || i+1 == len(kinds)) {
			return l, err
		}
	}
	if kinds[0] == wire.KindPipe {
		return nil, proto.Hint(err, "the peer offers files: mesh-recv -C DIR PEER stores them")
	}
	return nil, proto.Hint(err, "the peer sends a pipe: mesh-recv PEER takes it, with -o FILE to a file")
}

// openLink dials PEER, or waits for a peer.
func openLink(ctx context.Context, n *node.Node, o options, kinds []string) (*link.Link, func(), error) {
	takesPipe := kinds[0] == wire.KindPipe
	if o.peer != nil {
		peer, err := n.Peer(ctx, *o.peer)
		if proto.CodeOf(err) == proto.Usage && identity.CheckName(o.peer.Text) == nil && strings.Contains(o.peer.Text, ".") {
			return nil, nil, proto.Hint(err, "to write to a file: mesh-recv -o "+o.peer.Text)
		}
		if err != nil {
			return nil, nil, err
		}
		l, err := dialFor(ctx, n, peer, o, kinds)
		return l, func() {}, err
	}
	offer := o.offer
	offer.Caps, offer.Tokens = proto.CapSend, []node.TokenOffer{{Caps: proto.CapSend}}
	offer.Once, offer.Command, offer.Asks = true, "mesh-cat", true
	offer.Takes = func(kind string) bool { return slices.Contains(kinds, kind) }
	if !takesPipe {
		offer.Operand = "FILE…"
	}
	w, err := n.Wait(offer)
	if err != nil {
		return nil, nil, err
	}
	l, err := w.Accept(ctx)
	if err != nil {
		w.Stop()
		return nil, nil, err
	}
	return l, w.Stop, nil
}
