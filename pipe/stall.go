package pipe

import (
	"context"
	"time"

	"mesh/proto"
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

// stalledFor returns for how long the peer has neither sent data that we wait for nor
// taken data that we sent.
func (x *exchange) stalledFor() time.Duration {
	x.in.mu.Lock()
	since, waits := x.in.moved, x.in.taken == x.in.buffer.end && !x.in.over
	x.in.mu.Unlock()
	x.out.mu.Lock()
	if x.out.moved.After(since) {
		since = x.out.moved
	}
	x.out.mu.Unlock()
	if !waits {
		return 0 // for our own disk, or command
	}
	return time.Since(since)
}
