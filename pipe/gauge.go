package pipe

import (
	"cmp"
	"time"

	"mesh/proto"
)

// A gauge finds out how many flows a transfer is worth: it doubles them while
// that makes the transfer faster by [gaugeGain], and takes the last step back
// when it does not. The zero value is ready to use.
type gauge struct {
	flows  int           // wanted now
	period time.Duration // of each measurement; 0 for gaugePeriod

	since  time.Time // the begin of what is measured
	moved  int64     // bytes, by then
	settle bool      // what is measured does not count: flows are just beginning
	rate   float64   // bytes a second, when it was measured last; 0 for never
	before float64   // rate with half as many flows; 0 when that is not in question
	rest   time.Time // nothing is tried before
	pause  time.Duration
}

const (
	// gaugePeriod is how long a measurement lasts at the most.
	gaugePeriod = time.Second
	gaugeGain   = 1.25
	// gaugeSteady is up to where two rates are the same.
	gaugeSteady = 1.15
	// gaugeRest is how long nothing is tried after a step back, at first; then
	// twice as long each time.
	gaugeRest = 20 * time.Second
)

// wants returns how many flows there should be, when moved bytes have come
// across until now. Where they are not worth a try, because something else than
// the path makes the transfer last, it measures nothing.
func (g *gauge) wants(now time.Time, moved int64, worth bool) int {
	g.flows = max(g.flows, 1)
	switch {
	case !worth || g.since.IsZero():
		g.begin(now, moved)
		g.rate, g.before = 0, 0
		return g.flows
	case now.Sub(g.since) < cmp.Or(g.period, gaugePeriod):
		return g.flows
	case g.settle:
		g.begin(now, moved)
		g.settle = false
		return g.flows
	}
	last := g.rate
	g.rate = float64(moved-g.moved) / now.Sub(g.since).Seconds()
	g.begin(now, moved)
	switch {
	case g.before > 0 && g.rate < g.before*gaugeGain: // the last step has brought nothing
		g.flows /= 2
		g.before, g.settle = 0, true
		g.pause = max(gaugeRest, 2*g.pause)
		g.rest = now.Add(g.pause)
	case g.before == 0 && (last == 0 || g.rate > last*gaugeSteady): // still gathering speed
	case now.Before(g.rest) || g.flows == proto.MaxFlows:
		g.before = 0
	default:
		g.flows, g.before, g.settle = min(2*g.flows, proto.MaxFlows), g.rate, true
	}
	return g.flows
}

func (g *gauge) begin(now time.Time, moved int64) { g.since, g.moved = now, moved }
