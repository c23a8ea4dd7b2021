package share

import (
	"time"

	"mesh/proto"
	"mesh/proto/wire"
)

// A viewer has no more output on its way than it took in the last paceTime and a
// round trip, but minOnWay to begin with and maxOnWay at the most; for one that
// wants every byte there is only allOnWay. So what is on its way is never worth
// more than about that time, and an answer to Ctrl-C does not wait behind a flood.
const (
	paceTime = 100 * time.Millisecond
	minOnWay = 16 << 10
	maxOnWay = 64 << 10
	allOnWay = 256 << 10
)

// pace measures how fast a viewer takes what it is sent. It is not safe for
// concurrent use.
type pace struct {
	fixed bool // always allOnWay: what comes late is better than what is missing

	onWay  int64
	frames []flight // not acknowledged, in order
	acked  int64    // the seq of the last TERM_ACK
	took   []flight // acknowledged lately: at is when
	rtt    time.Duration
}

// flight is a frame that was sent, or taken.
type flight struct {
	seq   int64 // behind it
	bytes int64
	at    time.Time
}

// sent takes note of a frame of n bytes, behind which the output is at seq. A
// snapshot that only a resize made necessary is never acknowledged, since all
// output before it is.
func (p *pace) sent(seq int64, n int, now time.Time) {
	if seq == p.acked {
		return
	}
	p.frames = append(p.frames, flight{seq, int64(n), now})
	p.onWay += int64(n)
}

// ack takes a TERM_ACK.
func (p *pace) ack(seq int64, now time.Time) error {
	if seq < p.acked || len(p.frames) == 0 && seq > p.acked || len(p.frames) > 0 && seq > p.frames[len(p.frames)-1].seq {
		return proto.Errorf(proto.Protocol, "%s out of order", wire.TypeTermAck)
	}
	p.acked = seq
	for len(p.frames) > 0 && p.frames[0].seq <= seq {
		f := p.frames[0]
		p.frames = p.frames[1:]
		p.onWay -= f.bytes
		if p.fixed {
			continue
		}
		if took := now.Sub(f.at); p.rtt == 0 || took < p.rtt {
			p.rtt = took
		}
		p.took = append(p.took, flight{f.seq, f.bytes, now})
	}
	p.forget(now)
	return nil
}

// forget drops what was taken too long ago to say how fast the viewer is.
func (p *pace) forget(now time.Time) {
	since := now.Add(-paceTime - p.rtt)
	for len(p.took) > 0 && p.took[0].at.Before(since) {
		p.took = p.took[1:]
	}
}

// room returns how much more may be on its way now.
func (p *pace) room(now time.Time) int64 {
	if p.fixed {
		return allOnWay - p.onWay
	}
	p.forget(now)
	var took int64
	for _, f := range p.took {
		took += f.bytes
	}
	return min(max(took, minOnWay), maxOnWay) - p.onWay
}
