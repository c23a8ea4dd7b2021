//go:build unix

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// What a result is asked for.
func wall(r result) time.Duration { return r.wall }
func cpu(r result) time.Duration  { return r.send.cpu + r.recv.cpu }

// sorted returns what of says of each run of k, nil if there is none.
func (t *tool) sorted(k task, of func(result) time.Duration) []time.Duration {
	var values []time.Duration
	for _, r := range t.results[k.name] {
		values = append(values, of(r))
	}
	slices.Sort(values)
	return values
}

// median is 0 if there is none.
func (t *tool) median(k task, of func(result) time.Duration) time.Duration {
	values := t.sorted(k, of)
	n := len(values)
	if n == 0 {
		return 0
	}
	return (values[(n-1)/2] + values[n/2]) / 2
}

// peaks returns the most memory that each end ever had, in all tasks.
func (t *tool) peaks() (send, recv int64) {
	for _, results := range t.results {
		for _, r := range results {
			send, recv = max(send, r.send.peak), max(recv, r.recv.peak)
		}
	}
	return send, recv
}

// rate is in MiB/s, 0 if d is.
func (k task) rate(d time.Duration) float64 {
	if d == 0 {
		return 0
	}
	return mebibytes(k.size) / d.Seconds()
}

// find returns the tool whose name begins with word, or an empty one.
func find(tools []*tool, word string) *tool {
	for _, t := range tools {
		if strings.HasPrefix(t.name, word) {
			return t
		}
	}
	return &tool{}
}

// broken returns what went wrong with the tools that could be set up.
func broken(tools []*tool) error {
	for _, t := range tools {
		if t.failed != nil {
			return fmt.Errorf("%s could not be measured", t.name)
		}
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

func above(n, floor int64) string {
	if n <= floor {
		return "–"
	}
	return fmt.Sprintf("%.0f", mebibytes(n))
}
