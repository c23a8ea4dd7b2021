//go:build linux

package main

import (
	"testing"
	"time"
)

func TestRecoveryAfter(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		times        []time.Duration // in ms, as the next two
		healed, want time.Duration
	}{
		"nothing at all":               {nil, 100, -1},
		"nothing since":                {[]time.Duration{90}, 100, -1},
		"a cut":                        {[]time.Duration{10, 1500, 1510}, 1400, 100},
		"a cut, and one early packet":  {[]time.Duration{10, 1010, 1020, 3000}, 1000, 2000},
		"a move that is not noticed":   {[]time.Duration{10, 20, 30, 40}, 25, 5},
		"a move, and what was flying":  {[]time.Duration{10, 20, 30, 530, 540}, 25, 505},
		"what comes later is not ours": {[]time.Duration{10, 30, 500, 1100, 9000}, 20, 1080},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			times := make([]time.Duration, len(test.times))
			for i := range times {
				times[i] = test.times[i] * time.Millisecond
			}
			want := max(test.want*time.Millisecond, -1)
			if got := recoveryAfter(times, test.healed*time.Millisecond); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	cuts, moves := 0, 0
	for _, o := range plan(20, 10, 30*time.Second) {
		switch {
		case o.move != "":
			moves++
		case o.cut >= time.Second && o.cut <= 30*time.Second:
			cuts++
		}
	}
	if cuts != 20 || moves != 10 {
		t.Errorf("got %d cuts and %d moves, want 20 and 10", cuts, moves)
	}
}
