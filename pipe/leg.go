package pipe

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/wire"
)

// leg is the part of an exchange that crosses one primary link, with the flows
// beside it. An exchange has one leg, and one more each time it resumes.
type leg struct {
	x        *exchange
	link     *link.Link
	fail     context.CancelCauseFunc // ends the leg
	subflow  *subflow                // nil when we send nothing
	resume   *wire.Resume            // our first message when the transfer to us resumes; else nil
	ended    chan struct{}           // closed by runLeg when both transfers have ended
	received chan struct{}           // closed when receive has returned, after its fail
}

// runLeg moves the transfers over one link, and the flows beside it, until they
// have ended or the link breaks. resumed says that they began on an earlier link.
func (x *exchange) runLeg(ctx context.Context, l *link.Link, resumed bool) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	g := x.newLeg(l, resumed, fail)
	aborted := make(chan struct{}) // closed when abort has returned
	stop := context.AfterFunc(ctx, func() {
		defer close(aborted)
		g.abort(context.Cause(ctx))
	})
	var wg sync.WaitGroup
	wg.Go(g.receive)
	if x.in != nil && !l.Dialed {
		wg.Go(func() { g.awaitMeta(ctx) })
	}
	if x.options.ResumeFor > 0 && l.Dialed {
		wg.Go(func() { l.Watch(ctx, x.pending) })
	}
	improving, stopImproving := context.WithCancel(ctx)
	defer stopImproving()
	improved := make(chan struct{}) // closed when the link moves no more
	wg.Go(func() {
		defer close(improved)
		l.Improve(improving)
	})
	flowCtx, stopFlows := context.WithCancel(ctx)
	defer stopFlows()
	wg.Go(func() { x.runFlows(flowCtx, l, fail) })
	g.transfer()
	close(g.ended)
	stopFlows()
	stopImproving()
	<-improved
	switch {
	case ctx.Err() != nil:
	case l.Dialed && l.Moving(): // the peer waits on the next link, or may do so
		fail(link.ErrMoved)
	default:
		g.part(ctx)
	}
	err := context.Cause(ctx)
	if !stop() {
		<-aborted
	}
	fail(nil)
	wg.Wait()
	return err
}

// pending reports whether the peer owes an acknowledgement.
func (x *exchange) pending() bool { return x.out != nil && x.out.pending() }

func (x *exchange) newLeg(l *link.Link, resumed bool, fail context.CancelCauseFunc) *leg {
	g := &leg{x: x, link: l, fail: fail, ended: make(chan struct{}), received: make(chan struct{})}
	if x.out != nil {
		g.subflow = x.out.openSubflow(l.Via(), true, resumed)
		if resumed {
			x.out.awaitResume()
		}
	}
	if x.in != nil {
		if held := x.in.useLink(); resumed {
			g.resume = held
			x.noteResumed(&x.taken, held.Bytes)
		}
	}
	return g
}

// abort ends everything that waits for the link.
func (g *leg) abort(err error) {
	if errors.Is(err, link.ErrBroken) {
		g.link.Break(err)
	} else {
		g.link.Close(err)
	}
	if g.x.out != nil {
		g.x.out.loseSubflow(g.subflow, err)
	}
	if g.x.in != nil {
		g.x.in.loseLink(err)
	}
}

// transfer writes our frames of both transfers to the primary link, and returns
// when they have ended or the leg has failed.
func (g *leg) transfer() {
	w := newFrameWriter(g.link)
	var wg sync.WaitGroup
	start := func(send func() error) {
		wg.Go(func() {
			if err := send(); err != nil {
				g.fail(err)
			}
		})
	}
	if in := g.x.in; in != nil {
		start(func() error { return in.sendAcks(w, g.resume) })
	}
	if out := g.x.out; out != nil {
		start(func() error { return out.sendOn(w, g.subflow) })
	}
	wg.Wait()
}

// receive reads the peer's frames until the link ends.
func (g *leg) receive() {
	defer close(g.received)
	r := bufio.NewReaderSize(g.link, frameReadBytes)
	types := g.x.frameTypes()
	var err error
	for err == nil {
		err = g.x.readFrame(r, types)
	}
	if err := g.explainEnd(err); err != nil {
		g.fail(err)
	}
}

// explainEnd returns the failure that err, the end of the peer's frames, means: nil
// if both transfers have ended.
func (g *leg) explainEnd(err error) error {
	select {
	case <-g.ended:
		if !g.link.Dialed && errors.Is(err, link.ErrBroken) {
			return err // the dialer may have missed our end, and dials again for it
		}
		return nil // however the link ended, nothing is missing
	default:
	}
	switch {
	case errors.Is(err, io.EOF) && g.x.complete():
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return proto.Errorf(proto.Truncated, "the peer ended the stream before the end of its data")
	}
	return err
}

// part ends a link on which both transfers have ended: see "The end" in package
// proto. The listener spoke last, so it waits until the dialer has closed; if the
// link breaks before, which receive notices, the dialer dials again.
func (g *leg) part(ctx context.Context) {
	patience := proto.CloseTimeout
	if !g.link.Dialed {
		patience = max(patience, g.x.options.ResumeFor)
		_ = g.link.CloseWrite()
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-g.received:
	case <-timer.C:
	case <-ctx.Done():
	}
	if ctx.Err() == nil {
		g.link.Close(nil)
	}
}
