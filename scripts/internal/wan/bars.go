//go:build linux

package main

import (
	"fmt"
	"math"
	"os"
	"time"

	"mesh/scripts/internal/measure"
)

// The bars of matrix --check.
const (
	minRate    = 90 // % of the rate, in payload of the second half; without loss, up to maxRateRTT
	maxRateRTT = 100 * time.Millisecond
	minLossy   = 5 // × ssh with CUBIC, at lossyRTT with a loss of lossyFrom percent and more
	lossyRTT   = 100 * time.Millisecond
	lossyFrom  = 0.1
	minSSH     = 0.9 // × ssh, in every cell
	maxLate    = 500 // µs, on the average; a later emulator is not trusted
)

// bars returns the bars of one tool in c.
func (c cell) bars(name string) (list []measure.Bar) {
	got, ok := c.got[name]
	if !ok {
		return nil
	}
	bar := func(what string, figure, limit float64) {
		b := measure.Bar{What: fmt.Sprintf("%v: %s %s", c, name, what), Got: figure, Op: "≥", Limit: limit}
		if !got.health.trusted() {
			b.Note = "not to be trusted"
		}
		if got.err != nil {
			b.Got, b.Note = math.NaN(), "failed"
		}
		list = append(list, b)
	}
	if c.loss == 0 && c.rtt <= maxRateRTT {
		bar("% of the rate", 100*got.steady/c.bits, minRate)
	}
	ssh, ok := c.got["ssh"]
	if ok && ssh.err == nil && ssh.whole > 0 {
		limit := minSSH
		if c.cc == "cubic" && c.rtt == lossyRTT && c.loss >= lossyFrom {
			limit = minLossy
		}
		bar("× ssh", got.whole/ssh.whole, limit)
	} else if got.err != nil && list == nil {
		bar("goodput", 0, 0)
	}
	return list
}

// checkBars prints the bars of --via auto, and before them those that one transport
// alone misses. That is no error: no transport alone can hold them all.
func checkBars(cells []cell) error {
	var alone, auto []measure.Bar
	for _, c := range cells {
		alone = append(alone, append(c.bars("tcp"), c.bars("quic")...)...)
		auto = append(auto, c.bars("mesh")...)
	}
	missed := measure.Missed(alone)
	fmt.Printf("\nOne transport alone misses %d of %d bars, which is no error:\n", len(missed), len(alone))
	measure.WriteBars(os.Stdout, missed)
	fmt.Printf("\nThe bars of mesh:\n")
	return measure.CheckBars(os.Stdout, auto)
}
