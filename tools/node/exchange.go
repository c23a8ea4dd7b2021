package node

import (
	"context"
	"io"
	"sync/atomic"

	"mesh/pipe"
	"mesh/pipe/files"
	"mesh/pipe/progress"
	"mesh/pipe/ratelimit"
	"mesh/proto"
	"mesh/proto/link"
	"mesh/tools/board"
)

// Exchange is [pipe.Exchange], with its progress and receipts reported.
func (n *Node) Exchange(ctx context.Context, l *link.Link, source *pipe.Source, sink *pipe.Sink) error {
	_, err := n.exchange(ctx, l, source, sink)
	return err
}

// Receive is [Node.Exchange] without a source. It returns the receipt, nil if there is none.
func (n *Node) Receive(ctx context.Context, l *link.Link, sink *pipe.Sink) (*pipe.Receipt, error) {
	result, err := n.exchange(ctx, l, nil, sink)
	return result.Received, err
}

func (n *Node) exchange(ctx context.Context, l *link.Link, source *pipe.Source, sink *pipe.Sink) (pipe.Result, error) {
	party := n.partyOf(l)
	way := received
	if sink == nil || source != nil && l.Granted.Has(proto.CapRecv) {
		way = sent
	}
	result, run, err := n.carry(ctx, l, party, source, sink, screenOf(source, sink), n.options.Transfers, way)
	run.End(result, err)
	n.reporter.result(party(), result)
	return result, err
}

// Files runs one side of a transfer of files, with its progress and receipt
// reported. sends says which of the two sides it is.
func (n *Node) Files(ctx context.Context, l *link.Link, sends bool, side filesSide) error {
	_, err := n.files(ctx, l, sends, side, screen{}, n.options.Transfers)
	return err
}

// SendFiles is [Node.Files] for the sender, whose side counts in p, which may be nil.
func (n *Node) SendFiles(ctx context.Context, l *link.Link, p *files.Progress, side filesSide) error {
	_, err := n.files(ctx, l, true, side, screen{files: p, sends: true}, n.options.Transfers)
	return err
}

// ReceiveFiles is [Node.Files] for the receiver, whose side counts in p, which may be nil. It
// returns the receipt, nil if there is none.
func (n *Node) ReceiveFiles(ctx context.Context, l *link.Link, p *files.Progress, side filesSide) (*pipe.Receipt, error) {
	result, err := n.files(ctx, l, false, side, screen{files: p}, n.options.Transfers)
	return result.Received, err
}

// NewProgress returns what one side of a transfer of files counts in; nil if nobody looks.
func (n *Node) NewProgress() *files.Progress {
	if !n.reporter.progress && n.reporter.events == nil {
		return nil
	}
	return new(files.Progress)
}

// filesSide is one side of a transfer of files.
type filesSide = func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error)

func (n *Node) files(ctx context.Context, l *link.Link, sends bool, side filesSide, on screen, o pipe.Options) (pipe.Result, error) {
	var sum files.Summary
	on.written = new(atomic.Int64)
	source, sink, wait := files.Join(ctx, !sends, func(ctx context.Context, from io.Reader, to io.Writer) (err error) {
		sum, err = side(ctx, from, counted{to, on.written})
		return err
	})
	party, way := n.partyOf(l), received
	if sends {
		way = sent
	}
	result, run, err := n.carry(ctx, l, party, source, sink, on, o, way)
	err = wait(err)
	run.End(result, err)
	switch {
	case sum.Untaken: // nothing was to be stored
	case sends:
		n.reporter.receipt(party(), sent, result.Sent, &sum)
	default:
		n.reporter.receipt(party(), received, result.Received, &sum)
	}
	return result, err
}

// Await hides the progress line of the only transfer until the returned function is
// called: before that a person is asked. That time is not part of a receipt.
func (n *Node) Await() (answered func()) { return n.reporter.await() }

// Remark prints a line for the user where receipts are printed.
func (n *Node) Remark(text string) {
	if n.reporter.receipts {
		n.note(text)
	}
}

// carry runs an exchange, and reports its progress and outages while it runs. way is the
// direction of what is wanted: the other one may have answers. The caller ends the record
// on the board.
func (n *Node) carry(ctx context.Context, l *link.Link, party func() Party, source *pipe.Source, sink *pipe.Sink, on screen, options pipe.Options, way direction) (pipe.Result, *board.Run, error) {
	if options.Counters == nil {
		options.Counters = new(pipe.Counters)
	}
	on.limit = options.SendLimit
	p := party()
	n.reporter.note(Facts{Peer: p.Label(), Transfer: p.Transfer.String()})
	defer func() { n.reporter.noteBytes(options.Counters.Sent.Load() + options.Counters.Received.Load()) }()
	var down outage
	options.Broken, options.Moved = n.onBroken(party, &down), n.onMoved(party)
	stop := n.reporter.watch(party, options.Counters, on, &down)
	defer stop()
	run := n.begin(l, party, options.Counters, on, way, &down)
	result, err := pipe.Exchange(ctx, l, source, sink, options)
	return result, run, err
}

// begin records a transfer on the board.
func (n *Node) begin(l *link.Link, party func() Party, counters *pipe.Counters, on screen, way direction, down *outage) *board.Run {
	if n.options.Board == nil {
		return nil
	}
	p := party()
	at := func() board.Link {
		p := party()
		return board.Link{Via: p.Via, Path: p.Path, Addr: p.Addr}
	}
	t := board.Transfer{Peer: p.Label(), Kind: l.Kind, Direction: way.verb, Total: on.total}
	return n.options.Board.Begin(p.Transfer.String(), t, counters, at, down.length)
}

// Dialogue runs one side of a dialogue over a link, as [pipe.StartDialogue] does. broken, if
// it is not nil, is called when the link has broken, and when it is back.
func (n *Node) Dialogue(ctx context.Context, l *link.Link, broken func(bool), side func(ctx context.Context, from *io.PipeReader, to *io.PipeWriter) error) error {
	source, sink, wait := pipe.StartDialogue(ctx, side)
	options := n.options.Transfers
	options.SendLimit, options.ReceiveLimit = nil, nil // a terminal is never held up
	options.Broken, options.Moved = broken, n.onMoved(n.partyOf(l))
	_, err := pipe.Exchange(ctx, l, source, sink, options)
	return wait(err)
}

// Outages returns a channel with the newest state of a link, true for broken, and
// the function for [Node.Dialogue] that sends to it. The channel is never closed.
// Outages are also events.
func (n *Node) Outages(l *link.Link) (<-chan bool, func(broken bool)) {
	c := make(chan bool, 1)
	report := n.onBroken(n.partyOf(l), new(outage))
	return c, func(broken bool) { // called by one goroutine
		report(broken)
		select {
		case <-c:
		default:
		}
		c <- broken
	}
}

// screen says which part of a transfer is on the terminal, where a progress line
// would be in its way.
type screen struct {
	typed bool  // a person types the source
	shown bool  // a person reads the sink
	total int64 // bytes to send; 0 if not known
	// silent says that the transfer is one of several, which have a progress line together.
	silent bool

	files   *files.Progress // of files; else nil
	sends   bool            // files
	written *atomic.Int64   // what their side has given to the link
	limit   *ratelimit.Limiter
}

// counted is a writer that counts.
type counted struct {
	io.Writer
	n *atomic.Int64
}

// Write implements [io.Writer].
func (c counted) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// state returns how far a transfer has come. What a sender of files has given to the link
// and the peer has not taken does not count.
func (s screen) state(sent, received int64) progress.State {
	p := progress.State{Left: -1, Limit: s.limit.Rate()}
	switch {
	case s.files != nil:
		p.Known = s.files.Known.Load()
		p.Total, p.Bytes = s.files.Total.Load(), s.files.Done.Load()
		if s.sends {
			p.Bytes = max(p.Bytes-max(s.written.Load()-sent, 0), 0)
		}
	case s.total > 0:
		p.Known, p.Total, p.Bytes = true, s.total, min(sent, s.total)
	default:
		p.Bytes = sent + received
	}
	return p
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
