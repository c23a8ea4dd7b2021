package share

import (
	"time"

	"mesh/proto"
	"mesh/proto/wire"
)

// A viewer has no more unacknowledged output than it took in the last paceTime and a
// round trip, but always minUnacked and never more than maxUnacked. For one that wants
// every byte the limit is allUnacked. So the output in flight is worth about that time
// at most, and the effect of Ctrl-C does not wait behind a flood.
const (
	paceTime   = 100 * time.Millisecond
	minUnacked = 16 << 10
	maxUnacked = 64 << 10
	allUnacked = 256 << 10
)

// pace measures how fast a viewer takes what it is sent. It is not safe for
// concurrent use.
type pace struct {
	fixed bool // the limit is allUnacked: late output is better than missing output

	unacked int64
	frames  []flight // not acknowledged, in order
	acked   int64    // the seq of the last TERM_ACK
	taken   []flight // acknowledged lately; at is when
	rtt     time.Duration
}

// flight is a frame that was sent, or acknowledged.
type flight struct {
	seq   int64 // the position after it
	bytes int64
	at    time.Time
}

// sent notes a frame of n bytes, after which the output is at seq. A snapshot that only
// a resize made necessary brings no output, and is never acknowledged.
func (p *pace) sent(seq int64, n int, now time.Time) {
	if seq == p.acked {
		return
	}
	p.frames = append(p.frames, flight{seq, int64(n), now})
	p.unacked += int64(n)
}

// ack handles a TERM_ACK.
func (p *pace) ack(seq int64, now time.Time) error {
	if seq < p.acked || len(p.frames) == 0 && seq > p.acked || len(p.frames) > 0 && seq > p.frames[len(p.frames)-1].seq {
		return proto.Errorf(proto.Protocol, "%s out of order", wire.TypeTermAck)
	}
	p.acked = seq
	for len(p.frames) > 0 && p.frames[0].seq <= seq {
		f := p.frames[0]
		p.frames = p.frames[1:]
		p.unacked -= f.bytes
		if p.fixed {
			continue
		}
		if took := now.Sub(f.at); p.rtt == 0 || took < p.rtt {
			p.rtt = took
		}
		p.taken = append(p.taken, flight{f.seq, f.bytes, now})
	}
	p.dropOld(now)
	return nil
}

// dropOld drops what was acknowledged too long ago to tell how fast the viewer is.
func (p *pace) dropOld(now time.Time) {
	since := now.Add(-paceTime - p.rtt)
	for len(p.taken) > 0 && p.taken[0].at.Before(since) {
		p.taken = p.taken[1:]
	}
}

// room returns how many more bytes may be sent now.
func (p *pace) room(now time.Time) int64 {
	if p.fixed {
		return allUnacked - p.unacked
	}
	p.dropOld(now)
	var taken int64
	for _, f := range p.taken {
		taken += f.bytes
	}
	return min(max(taken, minUnacked), maxUnacked) - p.unacked
}
