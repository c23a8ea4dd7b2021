package node

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/urfave/cli/v2"

	"mesh/pipe"
	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/link"
	"mesh/tools/cmdline"
)

// maxComplaints is how many entries are named that are not sent or not stored;
// the peer decides how many there are.
const maxComplaints = 100

// Complaints returns what tells a person of entries that are not sent or not
// stored, one a line.
func Complaints(c *cli.Context) func(path string, err error) {
	var mu sync.Mutex
	told := 0
	return func(path string, err error) {
		mu.Lock()
		defer mu.Unlock()
		switch told++; {
		case told <= maxComplaints:
			cmdline.Complain(c, fmt.Errorf("%s: %w", path, err))
		case told == maxComplaints+1:
			cmdline.Complain(c, proto.Errorf(proto.Failed, "further ones are not named"))
		}
	}
}

// Files runs one side of a transfer of files over a link, with what is told of it.
func (n *Node) Files(ctx context.Context, l *link.Link, sends bool, side func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error)) error {
	var sum files.Summary
	source, sink, wait := files.Join(ctx, func(ctx context.Context, from io.Reader, to io.Writer) (err error) {
		sum, err = side(ctx, from, to)
		return err
	})
	party := n.partyOf(l)
	options := n.transfers
	options.Counters = new(pipe.Counters)
	var down outage
	options.Broken = n.breaks(party, &down)
	stop := n.tell.watch(party, options.Counters, screen{}, &down)
	result, err := pipe.Exchange(ctx, l, source, sink, options)
	err = wait(err)
	stop()
	if sends {
		n.tell.receipt(party(), "sent", "to", result.Sent, &sum)
	} else {
		n.tell.receipt(party(), "received", "from", result.Received, &sum)
	}
	return err
}
