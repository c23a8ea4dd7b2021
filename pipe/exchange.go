package pipe

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"mesh/pipe/ratelimit"
	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/wire"
)

// Options are the settings of an exchange. The zero value is usable.
type Options struct {
	// ResumeFor is how long a broken link may stay broken; 0 means that the
	// transfers fail with it. A link that moves to a better path is not broken.
	ResumeFor time.Duration
	// Flows is how many links carry the transfers at a time, up to
	// [proto.MaxFlows], or AutoFlows. Only the dialer's value counts.
	Flows int
	// Spool is how many unacknowledged bytes the sender may keep in a file, beyond
	// what the link's window allows to keep in memory: the source may be that far
	// ahead of the peer's consumer.
	Spool int64
	// Log receives messages about links that break and resume; nil for none.
	Log *slog.Logger
	// Broken, if set, is called with true when the link has broken, and with false
	// when the exchange has resumed.
	Broken func(broken bool)
	// Moved, if set, is called when the exchange goes on over another link than l, which
	// was replaced while it worked.
	Moved func(l *link.Link)
	// Counters, if set, count while the transfers run.
	Counters *Counters
	// SendLimit and ReceiveLimit limit the bytes of each direction, together with all
	// other transfers that have the same limiter; nil for no limit. Data sent again
	// after a broken link counts again. The receiver's limit works by flow control: the
	// peer may be one window ahead of it.
	SendLimit, ReceiveLimit *ratelimit.Limiter
}

// exchange is one run of [Exchange].
type exchange struct {
	options  Options
	out      *outgoing // nil when we send nothing
	in       *incoming // nil when we receive nothing
	counters *Counters
	log      *slog.Logger
	started  time.Time
	auto     autoFlows
	fail     context.CancelCauseFunc // ends the exchange
	written  chan error              // how the transfer to the sink has ended

	mu     sync.Mutex
	via    string     // the transports of this leg, or of the last one
	flows  int        // the most links at a time
	link   *link.Link // of this leg, or of the last one
	result Result
	sent   course
	taken  course
	// failed is the first error of a transfer that ended in good order: a producer
	// that failed, or a consumer that left.
	failed error
}

// Exchange moves what the link's grants allow: a transfer from source to the
// peer, one from the peer to sink, or both at once, and closes the link. It
// blocks until both have ended. It returns nil only if the consumer of each took
// all bytes, count and digest are equal at both ends, and every producer ended
// with status 0. The first failure ends both transfers, and the peer gets its code. But
// when we only receive and the sink has begun to finish, no later failure of the link or
// of the peer counts.
// A broken link is a failure only when it has stayed broken for as long as the
// options allow: until then the transfers continue over another one.
//
// When Exchange returns an error, a Read of source or a Write to sink may still be
// blocked; close them to end it. A source or sink that the grants do not need is
// not used and may be nil.
func Exchange(parent context.Context, l *link.Link, source *Source, sink *Sink, o Options) (Result, error) {
	ctx, fail := context.WithCancelCause(parent)
	defer fail(nil)
	x := newExchange(o, fail)
	sends, receives := directions(l)
	if sends {
		if err := x.startSending(l, source); err != nil {
			l.Close(err)
			return Result{}, err
		}
		defer x.out.closeSpool()
	}
	if receives {
		x.startReceiving(ctx, l, sink)
	}
	if !l.Dialed {
		x.reportStall(l)
	}
	err := x.run(ctx, l)
	if err != nil {
		err = x.abort(parent, err)
	} else if x.out != nil {
		x.reportSent(x.out.receipt())
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.result, cmp.Or(err, x.failed)
}

func newExchange(o Options, fail context.CancelCauseFunc) *exchange {
	x := &exchange{options: o, counters: o.Counters, log: o.Log, started: time.Now(), flows: 1, fail: fail, written: make(chan error, 1)}
	if x.counters == nil {
		x.counters = new(Counters)
	}
	if x.log == nil {
		x.log = slog.New(slog.DiscardHandler)
	}
	return x
}

// directions returns which transfers the link's grants allow.
func directions(l *link.Link) (sends, receives bool) {
	if l.Kind != wire.KindPipe { // a dialogue needs both, whatever was granted
		return true, true
	}
	sends, receives = l.Granted.Has(proto.CapSend), l.Granted.Has(proto.CapRecv)
	if !l.Dialed {
		sends, receives = receives, sends
	}
	return sends, receives
}

// startSending begins the transfer from source. Its goroutine may outlive the
// exchange in a read.
func (x *exchange) startSending(l *link.Link, source *Source) error {
	out, err := newOutgoing(l.Transfer, l.Kind, source, min(l.PeerWindow, l.Window), x.options.Spool)
	if err != nil {
		return err
	}
	x.out, out.limit = out, x.options.SendLimit.Share()
	if source.early != nil {
		out.limit.Charge(len(source.early.data))
	}
	if b := source.branch; b != nil {
		b.join(out, l.Minor >= minorIdleAck)
		return nil
	}
	go func() {
		if err := out.readSource(); err != nil {
			x.fail(err)
		}
	}()
	return nil
}

// startReceiving begins the transfer to sink. Its goroutine may outlive the
// exchange in a write.
func (x *exchange) startReceiving(ctx context.Context, l *link.Link, sink *Sink) {
	in := newIncoming(l.Transfer, l.Kind, sink, l.Window, ackInterval(min(l.PeerWindow, l.Window)), l.Striped)
	if l.Dialed && x.out != nil { // a listener's command is at both ends of the pipe; a dialer's only sends
		in.fed = x.out.begun
	}
	x.in, in.limit = in, x.options.ReceiveLimit.Share()
	go func() {
		err := in.writeSink(x.counters.Received.Store, x.reportReceived)
		x.written <- err
		if err != nil {
			x.fail(err)
		}
	}()
	sink.WatchLoss(ctx, func(err error) {
		if !in.isOver() {
			x.fail(err)
		}
	})
	if sink.Gone != nil {
		go func() {
			select {
			case <-sink.Gone:
				in.leave()
			case <-ctx.Done():
			}
		}()
	}
}

// run moves the transfers over l, and over the links that replace it.
func (x *exchange) run(ctx context.Context, l *link.Link) error {
	// An earlier dial may have begun the transfers: its answer was lost.
	for resumed := l.Resumed; ; resumed = true {
		x.mu.Lock()
		x.via, x.link = l.Via(), l
		x.mu.Unlock()
		err := x.runLeg(ctx, l, resumed)
		if err == nil || !errors.Is(err, link.ErrBroken) || x.options.ResumeFor == 0 && !l.Moving() {
			l.Close(err)
			return err
		}
		x.leave(l)
		next, err := x.resume(ctx, l, err)
		if err != nil {
			if x.complete() {
				err = nil // only the peer may have missed the end
			}
			l.Close(err)
			return err
		}
		l = next
	}
}

// leave notes that a link carries nothing any more.
func (x *exchange) leave(l *link.Link) {
	path := l.Path().String()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sent.leave(path)
	x.taken.leave(path)
}

// noteResumed notes in the course of a transfer where it continues.
func (x *exchange) noteResumed(c *course, offset int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	c.resume(offset)
}

// A link that replaces one that worked is there within moveTime, or its loss is an outage.
// That may last for moveRepairTime, whatever the options say: without the move there would
// be none.
const (
	moveTime       = 2 * proto.RedialTimeout
	moveRepairTime = proto.DialTimeout
)

// resume waits for the link that replaces another.
func (x *exchange) resume(ctx context.Context, l *link.Link, broken error) (*link.Link, error) {
	limit, moving := x.options.ResumeFor, l.Moving()
	if moving {
		limit = max(limit, moveRepairTime)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, proto.Errorf(proto.Timeout, "%w; not resumed within %s", broken, limit))
	defer cancel()
	if moving {
		moves, stop := context.WithTimeout(ctx, moveTime)
		next, err := l.Resume(moves)
		late := err != nil && moves.Err() != nil && ctx.Err() == nil
		stop()
		if !late {
			x.noteMove(l, next)
			return next, err
		}
	}
	x.log.Warn("link broken, waiting to resume", "err", broken, "for", limit)
	if x.options.Broken != nil {
		x.options.Broken(true)
	}
	next, err := l.Resume(ctx)
	if err != nil {
		return nil, err
	}
	x.log.Warn("link resumed", "addr", next.Addr())
	if x.options.Broken != nil {
		x.options.Broken(false)
	}
	return next, nil
}

// noteMove tells of a move from one link to the next; nil for one that failed.
func (x *exchange) noteMove(l, next *link.Link) {
	if next == nil {
		return
	}
	x.log.Info("link moved", "from", l.Path(), "to", next.Path())
	if x.options.Moved != nil {
		x.options.Moved(l)
	}
}

// complete reports whether the peer may end its side: both transfers have their
// final FILE_ACK.
func (x *exchange) complete() bool {
	if x.out != nil {
		x.out.mu.Lock()
		defer x.out.mu.Unlock()
		if x.out.final == nil {
			return false
		}
	}
	if x.in != nil {
		x.in.mu.Lock()
		defer x.in.mu.Unlock()
		return x.in.final != nil
	}
	return true
}

// reportSent keeps the receipt of the transfer that we sent.
func (x *exchange) reportSent(r *Receipt, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.result.Sent = x.completeReceiptLocked(r, &x.sent, err)
}

// reportReceived keeps the receipt of the transfer that we received.
func (x *exchange) reportReceived(r *Receipt, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.result.Received = x.completeReceiptLocked(r, &x.taken, err)
}

// completeReceiptLocked adds to a receipt what the transfers have in common.
func (x *exchange) completeReceiptLocked(r *Receipt, c *course, err error) *Receipt {
	r.Elapsed, r.Flows = time.Since(x.started), x.flows
	last := x.link.Path()
	r.Via, r.Path, r.MaxBPS = x.via, last.String(), last.MaxBPS
	r.Paths = c.end(r.Path, r.Bytes)
	x.failed = cmp.Or(x.failed, err)
	return r
}

// abort ends the transfers' goroutines that do not wait for a link, and returns how the
// exchange has ended: with err, unless we only receive and the sink needs no more. Then
// the sink alone decides, since it may have published what it has taken.
func (x *exchange) abort(ctx context.Context, err error) error {
	if x.out != nil {
		x.out.abort(err)
	}
	if x.in == nil || !x.in.abort(err) || x.out != nil {
		return err
	}
	select {
	case err = <-x.written:
	case <-ctx.Done():
	}
	return err
}
