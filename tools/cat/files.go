package cat

import (
	"context"
	"errors"
	"io"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/wire"
	"mesh/tools/cmdline"
	"mesh/tools/node"
)

// sendFiles sends files and folders.
func sendFiles(ctx context.Context, n *node.Node, peer node.Peer, o options, s cmdline.Streams) error {
	l, err := n.Dial(ctx, peer, node.Request{Want: proto.CapSend, Need: proto.CapSend, Kind: wire.KindFiles, Wait: o.wait})
	if errors.Is(err, node.ErrKind) {
		return proto.Hint(err, "files go to mesh-recv -C DIR, one file also to mesh-recv -o FILE; this peer takes the content of a file: mesh-cat PEER <FILE")
	}
	if err != nil {
		return err
	}
	return n.Files(ctx, l, true, func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error) {
		return files.Send(ctx, o.names, from, to, o.sendOptions(s.Complaints()))
	})
}

// list prints the names that would be sent.
func list(o options, s cmdline.Streams) error {
	return files.List(o.names, o.sendOptions(s.Complaints()), s.PrintLine)
}
