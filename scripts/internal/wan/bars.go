//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"
)

// The bars that matrix --check holds mesh to.
const (
	minRate     = 0.90 // of the rate, in payload of the second half; without loss up to maxRateRTT
	maxRateRTT  = 100 * time.Millisecond
	minLossy    = 5.0 // × ssh under cubic, at lossyRTT with lossyFrom percent and more
	lossyRTT    = 100 * time.Millisecond
	lossyFrom   = 0.1
	minSSH      = 0.9 // × ssh, in every cell
	maxLate     = 500 // µs, on the average
	meshAuto    = "mesh"
	overheadTCP = 0.96 // what headers leave of the rate
)

// trusted tells whether the emulator kept up.
func (g goodput) trusted() bool { return g.health.dropped == 0 && g.health.late <= maxLate }

func (g goodput) String() string {
	if g.err != nil {
		return "error: " + g.err.Error()
	}
	text := fmt.Sprintf("%.1f / %.1f Mbit/s", g.whole/1e6, g.steady/1e6)
	if g.via != "" {
		text += " over " + g.via
	}
	if g.first > 0 {
		text += fmt.Sprintf(", first byte after %d ms", g.first.Milliseconds())
	}
	return text + "; " + g.health.String()
}

// misses returns the bars that the tool name misses in c.
func (c cell) misses(name string) (missed []string) {
	got, there := c.got[name]
	if !there {
		return nil
	}
	miss := func(format string, args ...any) {
		text := fmt.Sprintf("%v: %s: %s", c, name, fmt.Sprintf(format, args...))
		if !got.trusted() {
			text += " (not to be trusted)"
		}
		missed = append(missed, text)
	}
	if got.err != nil {
		miss("%v", got.err)
		return missed
	}
	if share := got.steady / c.bits; c.loss == 0 && c.rtt <= maxRateRTT && share < minRate {
		miss("%.1f %% of the rate (%.1f %% of what headers leave), the bar is %.0f %%", 100*share, 100*share/overheadTCP, 100*minRate)
	}
	ssh, there := c.got["ssh"]
	if !there || ssh.err != nil || ssh.whole == 0 {
		return missed
	}
	times := got.whole / ssh.whole
	if c.cc == "cubic" && c.rtt == lossyRTT && c.loss >= lossyFrom && times < minLossy {
		miss("%.2f × ssh, the bar is %.1f", times, minLossy)
	}
	if times < minSSH {
		miss("%.2f × ssh, the bar is %.1f", times, minSSH)
	}
	return missed
}

// bars returns which bars are missed, if they are asked for. Only those of
// mesh as it comes are errors; one carrier alone can't hold them all.
func (g grid) bars(cells []cell) error {
	if !g.check {
		return nil
	}
	var missed []error
	notes := 0
	for _, name := range []string{"tcp", "quic"} {
		for _, c := range cells {
			for _, text := range c.misses(name) {
				if notes == 0 {
					fmt.Printf("\nBars that one carrier alone misses:\n\n")
				}
				notes++
				fmt.Println("-", text)
			}
		}
	}
	for _, c := range cells {
		for _, text := range c.misses(meshAuto) {
			missed = append(missed, errors.New(text))
		}
	}
	if missed == nil {
		fmt.Printf("\nMesh holds all bars.\n")
		return nil
	}
	fmt.Printf("\nBars that mesh misses:\n\n")
	for _, err := range missed {
		fmt.Println("-", err)
	}
	return fmt.Errorf("%d bars are missed", len(missed))
}
