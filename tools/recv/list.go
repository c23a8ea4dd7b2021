package recv

import (
	"context"
	"fmt"
	"io"

	"mesh/pipe/files"
	"mesh/pipe/progress"
	"mesh/proto/wire"
	"mesh/tools/cmdline"
	"mesh/tools/node"
)

// listOffered prints the paths of what a peer offers.
func listOffered(ctx context.Context, n *node.Node, o options, s cmdline.Streams) error {
	if err := s.RequireOut(); err != nil {
		return err
	}
	l, done, err := openLink(ctx, n, o, []string{wire.KindTake})
	if err != nil {
		return err
	}
	defer done()
	_ = n.Await() // a list has no progress line
	entries, bytes := 0, int64(0)
	show := func(path string, size int64) error {
		entries++
		bytes += min(size, 1<<62-bytes)
		return s.PrintLine(path)
	}
	err = n.Files(ctx, l, false, func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error) {
		return files.Summary{Untaken: true}, files.ListOffered(ctx, o.names, from, to, show, s.Complaints())
	})
	if err == nil {
		n.Remark(fmt.Sprintf("%d entries, %s", entries, progress.Bytes(bytes)))
	}
	return err
}
