package pipe

import (
	"context"
	"time"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/wire"
)

// awaitMeta fails the leg at the listener's end when the peer is there and does not
// begin its transfer in [proto.MetaTimeout]. A peer that is not heard either is left to
// the link, which breaks and may be resumed.
func (g *leg) awaitMeta(ctx context.Context) {
	tick := time.NewTicker(proto.KeepAlive)
	defer tick.Stop()
	begun, heard, last := time.Now(), g.link.Heard(), time.Now()
	for {
		select {
		case <-g.x.in.metaCame():
			return
		case <-g.ended:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if n := g.link.Heard(); n != heard {
			heard, last = n, time.Now()
		}
		if time.Since(begun) >= proto.MetaTimeout && time.Since(last) <= 2*proto.KeepAlive {
			g.fail(proto.Errorf(proto.Timeout, "the peer did not begin its transfer in %s", proto.MetaTimeout))
			return
		}
	}
}

// progress is since when a peer has sent or taken less than [proto.StallBytes]: a byte
// now and then is no progress.
type progress struct {
	since time.Time
	bytes int64
}

func progressFromNow() progress { return progress{since: time.Now()} }

// add notes that n more bytes have come or were taken.
func (p *progress) add(n int64) {
	if p.bytes += n; p.bytes >= proto.StallBytes {
		*p = progressFromNow()
	}
}

// owesLocked reports whether the peer has to acknowledge something: as much as it may
// hold back, or the end.
func (o *outgoing) owesLocked() bool {
	return o.final == nil && (o.eof || o.buffer.end-o.state.acked >= o.every)
}

// untakenFor returns for how long the peer has made no progress with what it owes. It may
// be silent for as long as it owes nothing.
func (o *outgoing) untakenFor() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.owesLocked() {
		return 0
	}
	return min(time.Since(o.moved.since), time.Since(o.owed))
}

// reportStall tells a listener when the transfers make no progress for which the peer is
// to blame.
func (x *exchange) reportStall(l *link.Link) {
	switch {
	case l.Kind == wire.KindFiles, l.Kind == wire.KindTake:
		l.ReportStall(x.stalledFor)
	case x.out != nil:
		l.ReportStall(x.out.untakenFor)
	}
}

// stalledFor returns for how long the peer of a transfer of files has neither sent data
// that we wait for nor taken data that we sent.
func (x *exchange) stalledFor() time.Duration {
	x.in.mu.Lock()
	since, waits := x.in.moved.since, x.in.taken == x.in.buffer.end && !x.in.over
	x.in.mu.Unlock()
	x.out.mu.Lock()
	if x.out.moved.since.After(since) {
		since = x.out.moved.since
	}
	x.out.mu.Unlock()
	if !waits {
		return 0 // for our own disk, or command
	}
	return time.Since(since)
}
