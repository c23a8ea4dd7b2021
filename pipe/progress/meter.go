package progress

import "time"

// rateTime is the time over which a rate is measured, and rateStep the time between two of
// its samples.
const (
	rateTime = 10 * time.Second
	rateStep = time.Second
)

// Meter measures the rate of a transfer over its last 10 seconds. The zero value is ready
// to use. It is not safe for more than one goroutine.
type Meter struct{ samples []sample }

type sample struct {
	at    time.Time
	bytes int64
}

// Add notes how many bytes have been transferred by now.
func (m *Meter) Add(now time.Time, bytes int64) {
	n := len(m.samples)
	if n > 1 && now.Sub(m.samples[n-2].at) < rateStep {
		m.samples[n-1] = sample{now, bytes}
	} else {
		m.samples = append(m.samples, sample{now, bytes})
	}
	for len(m.samples) > 2 && now.Sub(m.samples[1].at) >= rateTime {
		m.samples = m.samples[1:]
	}
}

// Rate returns the bytes per second; 0 while they are not known.
func (m *Meter) Rate() float64 {
	if len(m.samples) < 2 {
		return 0
	}
	first, last := m.samples[0], m.samples[len(m.samples)-1]
	if took := last.at.Sub(first.at); took > 0 && last.bytes > first.bytes {
		return float64(last.bytes-first.bytes) / took.Seconds()
	}
	return 0
}

// maxLeft bounds the time left: nobody plans with more.
const maxLeft = 1000 * time.Hour

// Left returns how long the rest of a transfer takes at this rate. known is false while
// there is no rate, or more is left than anybody waits for.
func (m *Meter) Left(rest int64) (left time.Duration, known bool) {
	rate := m.Rate()
	if rest <= 0 {
		return 0, true
	}
	if rate == 0 || float64(rest)/rate > maxLeft.Seconds() {
		return 0, false
	}
	return time.Duration(float64(rest) / rate * float64(time.Second)), true
}
