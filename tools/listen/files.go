package listen

import (
	"context"
	"errors"
	"io"
	"os"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/wire"
	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/outgoing"
)

// pipeCommand is the command line that sends standard input.
const pipeCommand = "mesh-listen"

// checkFiles finds a missing file before there is a peer. A single word that is no file
// may be meant as PEER.
func (o options) checkFiles() error {
	err := o.files.CheckFiles(pipeCommand)
	if name := o.files.Names[0]; errors.Is(err, os.ErrNotExist) && len(o.files.Names) == 1 && identity.CheckName(name) == nil {
		err = proto.Hint(err, "mesh-listen waits and calls nobody: mesh-cat "+name+" calls a peer of that name")
	}
	return err
}

// offerFiles lets one peer take the files, or each one.
func offerFiles(ctx context.Context, n *node.Node, o options, s cmdline.Streams) error {
	offer := o.offer
	offer.Caps, offer.Tokens = proto.CapRecv, []node.TokenOffer{{Caps: proto.CapRecv}}
	offer.Once, offer.Command, offer.NoEnv = !o.all, "mesh-recv", true
	offer.Takes = func(kind string) bool { return kind == wire.KindFiles || kind == wire.KindTake }
	if o.all {
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
	if o.all {
		defer reloads(ctx, n, w, o, s)()
		return serveAll(ctx, n, w, s, func(l *link.Link) error {
			_, err := sendFiles(ctx, n, l, o, nil, peerComplaints(n, l, s))
			return err
		})
	}
	for {
		l, err := w.Accept(ctx)
		if err != nil {
			return err
		}
		untaken, err := sendFiles(ctx, n, l, o, n.Await(), s.Complaints())
		if !untaken || ctx.Err() != nil || proto.CodeOf(err) == proto.Declined {
			return err
		}
		if err != nil {
			s.Complain(peerError(l, err))
		}
	}
}

// peerComplaints prints which entries one peer of many did not get.
func peerComplaints(n *node.Node, l *link.Link, s cmdline.Streams) func(path string, err error) {
	complain, label := s.Complaints(), n.Party(l).Label()
	return func(path string, err error) { complain("to "+label+": "+path, err) }
}

// sendFiles sends the files to a peer, or those that it asks for. untaken says that the
// peer has asked for none of them, so that they are still to be taken.
func sendFiles(ctx context.Context, n *node.Node, l *link.Link, o options, begun func(), report func(path string, err error)) (untaken bool, err error) {
	met, p := outgoing.NewMet(pipeCommand), n.NewProgress()
	side := o.files.Side(l, p, met, begun, report)
	if l.Kind == wire.KindTake {
		side = o.files.OfferSide(l, p, met, begun, report)
	}
	err = met.Hint(n.SendFiles(ctx, l, p, func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error) {
		sum, err := side(ctx, from, to)
		untaken = sum.Untaken
		return sum, err
	}))
	return untaken && l.Kind == wire.KindTake, err
}
