package pipe

import (
	"cmp"
	"time"

	"mesh/proto"
)

// flowTuner finds out how many flows make a transfer faster, by hill climbing: it
// doubles them while that raises the rate by [tunerGain], and undoes the last step
// when it does not. The zero value is ready to use.
type flowTuner struct {
	flows  int           // wanted now
	period time.Duration // of each measurement; 0 for tunerPeriod

	since    time.Time // the start of this measurement
	moved    int64     // bytes until then
	settling bool      // this measurement does not count: new flows are still starting
	rate     float64   // bytes a second in the last measurement; 0 for none
	before   float64   // the rate with half as many flows, while the last step is on trial; else 0
	pause    time.Duration
	resumeAt time.Time // no step is tried before
}

const (
	// tunerPeriod is the longest measurement.
	tunerPeriod = time.Second
	tunerGain   = 1.25
	// tunerSteady is the ratio up to which two rates count as equal.
	tunerSteady = 1.15
	// tunerPause is the first pause after a step that was undone; each further one
	// is twice as long.
	tunerPause = 20 * time.Second
)

// wantedFlows returns how many flows there should be, given that moved bytes have
// come across by now. worth is false while something other than the path limits
// the transfer: then nothing is measured.
func (t *flowTuner) wantedFlows(now time.Time, moved int64, worth bool) int {
	t.flows = max(t.flows, 1)
	switch {
	case !worth || t.since.IsZero():
		t.startMeasurement(now, moved)
		t.rate, t.before = 0, 0
		return t.flows
	case now.Sub(t.since) < cmp.Or(t.period, tunerPeriod):
		return t.flows
	case t.settling:
		t.startMeasurement(now, moved)
		t.settling = false
		return t.flows
	}
	last := t.rate
	t.rate = float64(moved-t.moved) / now.Sub(t.since).Seconds()
	t.startMeasurement(now, moved)
	switch {
	case t.before > 0 && t.rate < t.before*tunerGain: // the last step was in vain
		t.flows /= 2
		t.before, t.settling = 0, true
		t.pause = max(tunerPause, 2*t.pause)
		t.resumeAt = now.Add(t.pause)
	case t.before == 0 && (last == 0 || t.rate > last*tunerSteady): // still gathering speed
	case now.Before(t.resumeAt) || t.flows == proto.MaxFlows:
		t.before = 0
	default:
		t.flows, t.before, t.settling = min(2*t.flows, proto.MaxFlows), t.rate, true
	}
	return t.flows
}

func (t *flowTuner) startMeasurement(now time.Time, moved int64) { t.since, t.moved = now, moved }
