//go:build linux

package main

import (
	"errors"
	"math"
	"testing"
	"time"

	"mesh/scripts/internal/measure"
)

func TestCellBars(t *testing.T) {
	t.Parallel()
	at := func(mbit float64) goodput { return goodput{whole: mbit * 1e6, steady: mbit * 1e6} }
	late := at(95)
	late.health.late = maxLate + 1
	lossless := cell{cc: "cubic", rtt: 20 * time.Millisecond, bits: 100e6}
	lossy := cell{cc: "cubic", rtt: lossyRTT, loss: lossyFrom, bits: 100e6}
	far := cell{cc: "cubic", rtt: 2 * maxRateRTT, bits: 100e6}
	for name, test := range map[string]struct {
		cell      cell
		mesh, ssh goodput
		bars      int
		missed    int
		note      string
	}{
		"both bars held":                 {lossless, at(95), at(95), 2, 0, ""},
		"the rate is missed":             {lossless, at(89), at(95), 2, 1, ""},
		"both are missed":                {lossless, at(80), at(95), 2, 2, ""},
		"with loss, 5 times ssh":         {lossy, at(50), at(10), 1, 0, ""},
		"with loss, less than 5 times":   {lossy, at(49), at(10), 1, 1, ""},
		"far away the rate is no bar":    {far, at(50), at(50), 1, 0, ""},
		"ssh has failed":                 {far, at(50), goodput{err: errors.New("no")}, 0, 0, ""},
		"the emulator was late":          {lossless, late, at(95), 2, 0, "not to be trusted"},
		"mesh has failed":                {lossless, goodput{err: errors.New("no")}, at(95), 2, 2, "failed"},
		"mesh has failed without a peer": {far, goodput{err: errors.New("no")}, goodput{err: errors.New("no")}, 1, 1, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.cell.got = map[string]goodput{"mesh": test.mesh, "ssh": test.ssh}
			bars := test.cell.bars("mesh")
			if missed := measure.Missed(bars); len(bars) != test.bars || len(missed) != test.missed {
				t.Errorf("got %+v, want %d bars, %d of them missed", bars, test.bars, test.missed)
			}
			for _, b := range bars {
				if b.Note != test.note {
					t.Errorf("got the note %q, want %q", b.Note, test.note)
				}
			}
		})
	}
	if bars := lossless.bars("tcp"); bars != nil {
		t.Errorf("got %+v for a tool that was not measured, want none", bars)
	}
}

func TestBehind(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		quic, tcp, auto measure.Figures
		want            float64
	}{
		"auto is as QUIC":     {measure.Figures{1.5}, measure.Figures{2.5}, measure.Figures{1.5}, 0},
		"auto waits for TCP":  {measure.Figures{1.5}, measure.Figures{2.5}, measure.Figures{2.5}, 1},
		"auto is quicker":     {measure.Figures{1.5}, measure.Figures{2.5}, measure.Figures{1}, -0.5},
		"TCP is the quicker":  {measure.Figures{2}, measure.Figures{1}, measure.Figures{1.5}, 0.5},
		"auto has no figures": {measure.Figures{2}, measure.Figures{1}, nil, math.NaN()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ways []*measure.Tool
			for via, figures := range map[string]measure.Figures{"quic": test.quic, "tcp": test.tcp, "auto": test.auto} {
				compared := map[string]measure.Figures{first: {100}}
				ways = append(ways, &measure.Tool{Name: "--via " + via, Figures: map[string]measure.Figures{first: figures}},
					&measure.Tool{Name: "against: --via " + via, Compared: true, Figures: compared})
			}
			got := behind(ways)
			if got != test.want && !(math.IsNaN(got) && math.IsNaN(test.want)) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
