package pipe_test

import (
	"testing"
	"time"

	"mesh/pipe"
	"mesh/proto"
)

// runTuner calls a tuner every quarter of a second, and returns how many flows it wanted
// at the end of each second. rate returns the bytes a second of that many flows.
func runTuner(seconds int, rate func(second, flows int) float64) []int {
	var g pipe.FlowTuner
	now := time.Unix(0, 0)
	var moved float64
	var out []int
	flows := 1
	for tick := range 4 * seconds {
		r := rate(tick/4, flows)
		moved += r / 4
		now = now.Add(time.Second / 4)
		flows = g.WantedFlows(now, int64(moved), r > 0)
		if tick%4 == 3 {
			out = append(out, flows)
		}
	}
	return out
}

func most(flows []int) int {
	most := 0
	for _, n := range flows {
		most = max(most, n)
	}
	return most
}

func TestFlowTuner(t *testing.T) {
	t.Parallel()
	const mb = 1e6
	for _, c := range []struct {
		name      string
		rate      func(second, flows int) float64
		last, top int // flows
	}{
		{"each flow brings as much again", func(_, n int) float64 { return float64(n) * mb }, proto.MaxFlows, proto.MaxFlows},
		{"one flow fills the path", func(_, n int) float64 { return 10 * mb }, 1, 2},
		{"four flows fill the path", func(_, n int) float64 { return float64(min(n, 4)) * mb }, 4, 8},
		{"the first flow gathers speed", func(s, _ int) float64 { return float64(min(s+1, 8)) * mb }, 1, 2},
		{"further flows do harm", func(_, n int) float64 { return mb / float64(n) }, 1, 2},
		{"the source is slow", func(int, int) float64 { return 0 }, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := runTuner(23, c.rate)
			if last, top := got[len(got)-1], most(got); last != c.last || top != c.top {
				t.Errorf("got %d flows at the end and at most %d (%v), want %d and %d", last, top, got, c.last, c.top)
			}
		})
	}
}

// A step that is in vain is tried less and less often.
func TestFlowTunerPauses(t *testing.T) {
	t.Parallel()
	got := runTuner(600, func(int, int) float64 { return 1e6 })
	tries := 0
	for i := 1; i < len(got); i++ {
		if got[i] > got[i-1] {
			tries++
		}
	}
	if tries < 2 || tries > 6 {
		t.Errorf("got %d tries in ten minutes, want a few", tries)
	}
}
