package cat

import (
	"context"
	"errors"

	"mesh/proto"
	"mesh/proto/wire"
	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/outgoing"
)

// pipeCommand is the command line that sends standard input.
const pipeCommand = "mesh-cat PEER"

// sendFiles sends files and folders.
func sendFiles(ctx context.Context, n *node.Node, peer node.Peer, o options, s cmdline.Streams) error {
	l, err := n.Dial(ctx, peer, node.Request{Want: proto.CapSend, Need: proto.CapSend, Kind: wire.KindFiles, Wait: o.wait})
	if errors.Is(err, node.ErrKind) {
		return orPairs(peer, proto.Hint(err, "files go to mesh-recv -C DIR, one file also to mesh-recv -o FILE; this peer takes the content of a file: mesh-cat PEER <FILE"))
	}
	if err != nil {
		return err
	}
	met, p := outgoing.NewMet(pipeCommand), n.NewProgress()
	return met.Hint(n.SendFiles(ctx, l, p, o.files.Side(l, p, met, n.Await(), s.Complaints())))
}
