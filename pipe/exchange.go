package pipe

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/wire"
)

// Options are what an exchange may be told. The zero value will do.
type Options struct {
	// ResumeFor is how long a broken link may stay broken; 0 means that the
	// transfers end with it.
	ResumeFor time.Duration
	// Flows is how many links carry the transfers at a time, up to
	// [proto.MaxFlows], or AutoFlows. Only the dialer's counts.
	Flows int
	// Spool is how many bytes that we send may be kept in a file, beyond what
	// the link's window allows to keep in memory, until the peer's consumer takes
	// them: so far may the source be ahead.
	Spool int64
	// Log is told of links that break and come back; nil for nobody.
	Log *slog.Logger
	// Broken, if it is set, is told that the link has broken (true), and that it is
	// back.
	Broken func(broken bool)
	// Counters, if they are set, count while the transfers run.
	Counters *Counters
}

// exchange is one run of [Exchange].
type exchange struct {
	out      *outgoing // nil when we send nothing
	in       *incoming // nil when we receive nothing
	counters *Counters
	log      *slog.Logger
	begun    time.Time
	// For AutoFlows; used by one goroutine at a time.
	gauge  gauge
	beside bool // a flow over TCP is wanted beside QUIC
	noTCP  bool // there is none

	fail context.CancelCauseFunc // ends all of it

	mu     sync.Mutex
	via    string // what carries the link, or the last one
	flows  int    // the most at a time
	result Result
	// errs of transfers that ended in good order: producers that failed,
	// consumers that left.
	errs error
}

// Exchange moves what the link's grants allow: a transfer from source to the
// peer, one from the peer to sink, or both at once, and closes the link. It
// blocks until both have ended, and returns nil only if all bytes of each were
// taken by its consumer, count and digest are equal at both ends, and every
// producer ended with 0. The first failure ends both and is told to the peer.
// A link that breaks is not one until it has been broken for as long as the
// options allow: the transfers go on over another.
//
// When it returns an error, a Read of source or a Write to sink may still be
// blocked; close them to end it. A source or sink that the grants do not need
// is not used and may be nil.
func Exchange(ctx context.Context, l *link.Link, source *Source, sink *Sink, o Options) (Result, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	x := &exchange{counters: o.Counters, log: o.Log, fail: fail, begun: time.Now(), flows: 1}
	if x.counters == nil {
		x.counters = new(Counters)
	}
	if x.log == nil {
		x.log = slog.New(slog.DiscardHandler)
	}
	sends, receives := l.Granted.Has(proto.CapSend), l.Granted.Has(proto.CapRecv)
	if !l.Dialed {
		sends, receives = receives, sends
	}
	if l.Kind != wire.KindPipe { // one way is for what the receiver says
		sends, receives = true, true
	}
	if sends {
		var err error
		if x.out, err = newOutgoing(l.Transfer, l.Kind, source, min(l.PeerWindow, l.Window), o.Spool); err != nil {
			l.Close(err)
			return Result{}, err
		}
		defer x.out.drop()
		go x.fill() // may be left in a read of the source
	}
	if receives {
		x.in = newIncoming(l.Transfer, l.Kind, sink, l.Window, ackEvery(min(l.PeerWindow, l.Window)), l.Striped)
		go x.consume() // may be left in a write to the sink
		if sink.Gone != nil {
			go func() {
				select {
				case <-sink.Gone:
					x.in.leave()
				case <-ctx.Done():
				}
			}()
		}
	}
	err := x.run(ctx, l, o)
	if err != nil {
		x.stop(err)
	} else if x.out != nil {
		x.sent()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.result, first(err, x.errs)
}

// run moves the transfers over the link, and over those that follow it. The peer may
// have had some of them over one that we know nothing of.
func (x *exchange) run(ctx context.Context, l *link.Link, o Options) error {
	for resumed := l.Resumed; ; resumed = true {
		x.mu.Lock()
		x.via = l.Via()
		x.mu.Unlock()
		err := x.carry(ctx, l, resumed, o)
		if err == nil || o.ResumeFor == 0 || !errors.Is(err, link.ErrBroken) {
			l.Close(err)
			return err
		}
		x.log.Warn("link is broken, waiting for it to come back", "err", err, "for", o.ResumeFor)
		if o.Broken != nil {
			o.Broken(true)
		}
		waiting, cancel := context.WithTimeoutCause(ctx, o.ResumeFor, proto.Errorf(proto.Timeout, "%w; it did not come back in %s", err, o.ResumeFor))
		next, err := l.Resume(waiting)
		cancel()
		if x.complete() && err != nil {
			l.Close(nil)
			return nil // we are done; it was the peer that might have missed it
		}
		if err != nil {
			l.Close(err)
			return err
		}
		x.log.Warn("link is back", "addr", next.Addr())
		if o.Broken != nil {
			o.Broken(false)
		}
		l = next
	}
}

// carry moves the transfers over one link, and the flows beside it, until they
// have ended or it breaks.
func (x *exchange) carry(ctx context.Context, l *link.Link, resumed bool, o Options) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var lane *lane
	if x.out != nil {
		lane = x.out.open(true, resumed)
	}
	cut := make(chan struct{}) // closed when everyone was told of a failure
	stop := context.AfterFunc(ctx, func() {
		defer close(cut)
		x.cut(l, lane, context.Cause(ctx))
	})
	var transfers, others sync.WaitGroup
	start := func(f func() error) {
		transfers.Go(func() {
			if err := f(); err != nil {
				fail(err)
			}
		})
	}
	w := newFrameWriter(l)
	if x.in != nil {
		held := x.in.relinked()
		start(func() error {
			if resumed {
				if err := w.message(held); err != nil {
					return err
				}
			}
			return x.in.acknowledge(w)
		})
	}
	if x.out != nil {
		if resumed {
			x.out.relinked()
		}
		start(func() error { return x.out.send(w, lane) })
	}
	ended := make(chan struct{}) // both transfers have; closed below
	fin := make(chan struct{})   // receive is over, and ctx too if that has failed; closed below
	others.Go(func() {
		defer close(fin)
		if err := x.receive(l, ended); err != nil {
			fail(err)
		}
	})
	if o.ResumeFor > 0 && l.Dialed {
		others.Go(func() { l.Watch(ctx) })
	}
	carrying, stopFlows := context.WithCancel(ctx)
	f := &flows{x: x, ctx: carrying, fail: fail, link: l}
	if l.Dialed {
		others.Go(func() { f.dial(o.Flows) })
	} else {
		others.Go(f.accept)
	}
	transfers.Wait()
	close(ended)
	stopFlows()
	if ctx.Err() == nil {
		part(ctx, l, fin, o.ResumeFor)
	}
	err := context.Cause(ctx)
	if !stop() {
		<-cut
	}
	fail(nil)
	others.Wait()
	f.wg.Wait()
	return err
}

// cut ends everything that waits for the link.
func (x *exchange) cut(l *link.Link, lane *lane, err error) {
	if errors.Is(err, link.ErrBroken) {
		l.Break(err)
	} else {
		l.Close(err)
	}
	if x.out != nil {
		x.out.lose(lane, err)
	}
	if x.in != nil {
		x.in.cut(err)
	}
}

// wantedFlows returns how many flows the transfers over the link should have, and
// what carries further ones. In bulk TCP is faster than QUIC, which may have been
// there sooner when the link began. BBR without loss fills a path by itself.
func (x *exchange) wantedFlows(l *link.Link) (n int, via string) {
	bulk := x.out != nil && x.out.ahead()
	if x.beside = x.beside || bulk && l.Via() == proto.ViaQUIC; x.beside && !x.noTCP {
		return 2, proto.ViaTCP
	}
	worth := l.RTT >= farRTT && (x.out == nil || bulk && l.LossBound())
	x.gauge.period = min(max(gaugeLeast, 5*l.RTT), gaugePeriod)
	return x.gauge.wants(time.Now(), x.counters.Sent.Load()+x.counters.Received.Load(), worth), l.Via()
}

// gaugeLeast is the shortest time that is worth a measurement.
const gaugeLeast = 400 * time.Millisecond

// farRTT is from where on the path may be what makes a transfer last; nearer
// peers are limited by their processors.
const farRTT = 5 * time.Millisecond

// widened takes note that so many links carry the transfers.
func (x *exchange) widened(flows int, via string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.flows = max(x.flows, flows)
	if via != x.via {
		x.via = proto.ViaQUIC + "+" + proto.ViaTCP
	}
}

// part ends a link on which all was said: see "The end" in package proto. The
// listener spoke last, so it stays until the dialer has heard it; if the link
// breaks before, which receive finds, the dialer comes back for it.
func part(ctx context.Context, l *link.Link, fin <-chan struct{}, resumeFor time.Duration) {
	patience := proto.CloseTimeout
	if !l.Dialed {
		patience = max(patience, resumeFor)
		_ = l.CloseWrite()
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-fin:
	case <-timer.C:
	case <-ctx.Done():
	}
	if ctx.Err() == nil {
		l.Close(nil)
	}
}

// receive reads frames until the peer ends its side, which is right only when
// both transfers have ended.
func (x *exchange) receive(l *link.Link, ended <-chan struct{}) error {
	r := bufio.NewReaderSize(l, frameReadBytes)
	for {
		err := x.frame(r)
		if err == nil {
			continue
		}
		select {
		case <-ended:
			if !l.Dialed && errors.Is(err, link.ErrBroken) {
				return err // the dialer may not know yet that we are done
			}
			return nil // whatever ended the link did no harm
		default:
		}
		switch {
		case errors.Is(err, io.EOF) && x.complete():
			return nil
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return proto.Errorf(proto.Truncated, "the peer's data ended before its end was announced")
		}
		return err
	}
}

// complete reports whether the peer may end its side: it has acknowledged all
// of ours, and we all of its.
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

// fill runs the transfer that we send.
func (x *exchange) fill() {
	if err := x.out.fill(); err != nil {
		x.fail(err)
	}
}

// consume runs the transfer that we receive.
func (x *exchange) consume() {
	if err := x.in.consume(x.counters.Received.Store, x.received); err != nil {
		x.fail(err)
	}
}

// received keeps the receipt of the transfer that we received.
func (x *exchange) received(r *Receipt, err error) {
	r.Elapsed = time.Since(x.begun)
	x.mu.Lock()
	defer x.mu.Unlock()
	r.Via, r.Flows = x.via, x.flows
	x.result.Received = r
	x.errs = first(x.errs, err)
}

// sent keeps the receipt of the transfer that we sent.
func (x *exchange) sent() {
	r, err := x.out.receipt()
	r.Elapsed = time.Since(x.begun)
	x.mu.Lock()
	defer x.mu.Unlock()
	r.Via, r.Flows = x.via, x.flows
	x.result.Sent = r
	x.errs = first(x.errs, err)
}

// stop ends what does not wait for a link.
func (x *exchange) stop(err error) {
	if x.out != nil {
		x.out.stop(err)
	}
	if x.in != nil {
		x.in.stop(err)
	}
}

func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
