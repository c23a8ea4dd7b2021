package cat

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

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
	var met met
	err = n.Files(ctx, l, true, func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error) {
		return files.Send(ctx, o.names, from, to, o.sendOptions(met.watch(s.Complaints())))
	})
	return met.hint(err)
}

// met are the kinds of entries that were not sent or not stored, for a hint.
type met struct{ link, taken, changed atomic.Bool }

// watch returns a function that notes the kind of an entry and then calls report.
func (m *met) watch(report func(path string, err error)) func(path string, err error) {
	return func(path string, err error) {
		switch {
		case errors.Is(err, files.ErrSymlink):
			m.link.Store(true)
		case proto.CodeOf(err) == proto.Changed:
			m.changed.Store(true)
		case errors.Is(err, files.ErrRefused) && proto.CodeOf(err) == proto.Unsafe:
			m.taken.Store(true)
		}
		report(path, err)
	}
}

// hint adds to the error of a transfer what can be done about its entries.
func (m *met) hint(err error) error {
	if m.link.Load() {
		err = proto.Hint(err, "--symlinks sends links that stay within their folder; --skip-special leaves out the others")
	}
	if m.taken.Load() {
		err = proto.Hint(err, "the other side does not take that name, or has a file of that name with other content: there --force replaces it, and --rename stores beside it")
	}
	if m.changed.Load() {
		err = proto.Hint(err, "repeat it once nothing writes the file; of a log that grows, mesh-cat PEER < FILE sends what it holds now")
	}
	return err
}

// list prints the names that would be sent.
func list(o options, s cmdline.Streams) error {
	var met met
	return met.hint(files.List(o.names, o.sendOptions(met.watch(s.Complaints())), s.PrintLine))
}
