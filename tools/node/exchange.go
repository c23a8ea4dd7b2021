package node

import (
	"context"

	"mesh/pipe"
	"mesh/proto/link"
)

// Exchange is [pipe.Exchange] with what is told of it.
func (n *Node) Exchange(ctx context.Context, l *link.Link, source *pipe.Source, sink *pipe.Sink) error {
	party := n.partyOf(l)
	options := n.transfers
	options.Counters = new(pipe.Counters)
	var down outage
	options.Broken = n.breaks(party, &down)
	stop := n.tell.watch(party, options.Counters, screenOf(source, sink), &down)
	result, err := pipe.Exchange(ctx, l, source, sink, options)
	stop()
	n.tell.result(party(), result)
	return err
}

// screen says what of a transfer is on the terminal, where a progress line
// would stand in its way, and how many bytes there are to send, or 0.
type screen struct {
	typed bool // the source is what a person types
	shown bool // the sink is what a person reads
	total int64
}

func screenOf(source *pipe.Source, sink *pipe.Sink) screen {
	var s screen
	if source != nil {
		s.typed, s.total = source.Typed, source.Size
	}
	if sink != nil {
		out, ok := sink.Writer.(interface{ IsTerminal() bool })
		s.shown = ok && out.IsTerminal()
	}
	return s
}
