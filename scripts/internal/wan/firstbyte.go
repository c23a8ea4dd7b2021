//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"mesh/scripts/internal/measure"
)

// maxBehind is how many round trips --via auto may be slower than the quicker
// transport.
const maxBehind = 0.2

// firstBytes is the flags of firstbyte.
type firstBytes struct {
	rtt    time.Duration
	rounds int
}

// way is one --via of one binary, and its figures in round trips.
type way struct {
	m     measure.Mesh
	via   string
	first measure.Figures
	wall  measure.Figures
	over  string // the transport of the last message
}

func firstByte(flags *measure.Flags) func(context.Context, env) error {
	f := &firstBytes{rounds: 11}
	flags.DurationVar(&f.rtt, "rtt", 100*time.Millisecond, "round-trip `TIME`")
	flags.Count(&f.rounds, "rounds", "send `N` messages in each way")
	return f.run
}

func (f *firstBytes) run(ctx context.Context, e env) error {
	if f.rtt <= 0 {
		return measure.UsageError{Err: errors.New("--rtt: want more than 0")}
	}
	fmt.Printf(`# mesh over a WAN: the first byte of a short message

- Machine: %s.
- producer | mesh-cat --via VIA @token, mesh-recv: %d bytes, RTT %v, 100 Mbit/s, no loss; medians of %d. The ways take turns.
- First byte: from mesh-cat's start to the first byte at mesh-recv's stdout. The start of the program is part of it.
`, measure.Machine(), shortBytes, f.rtt, f.rounds)
	l, err := openLab(ctx, e, "--delay", (f.rtt / 2).String(), "--rate", "100mbit", "--seed", "1")
	if err != nil {
		return err
	}
	defer l.close()
	ways := allWays(e.binaries)
	for range f.rounds {
		for _, w := range ways {
			s, err := sendShort(ctx, e, w.m, l, w.via)
			if err != nil {
				return fmt.Errorf("%s: %w", w, err)
			}
			w.first = append(w.first, float64(s.first)/float64(f.rtt))
			w.wall = append(w.wall, float64(s.wall)/float64(f.rtt))
			w.over = s.via
			measure.Say("%s: first byte after %.2f round trips over %s", w, float64(s.first)/float64(f.rtt), s.via)
		}
	}
	health, err := l.health(ctx)
	if err != nil {
		return err
	}
	report(ways)
	fmt.Printf("\n(%s)\n", health)
	if !e.Check {
		return nil
	}
	bar := measure.Bar{What: "first byte of auto behind the quicker transport, round trips", Got: behind(ways), Op: "≤", Limit: maxBehind}
	if health.dropped > 0 || health.late > maxLate {
		bar.Note = "not to be trusted: the emulator was late"
	}
	return measure.CheckBars(os.Stdout, []measure.Bar{bar})
}

// allWays returns each --via of each binary. A way with the binary of --against
// follows the same one with the binary under test.
func allWays(binaries []measure.Mesh) (ways []*way) {
	for _, via := range []string{"quic", "tcp", "auto"} {
		for _, m := range binaries {
			ways = append(ways, &way{m: m, via: via})
		}
	}
	return ways
}

func (w *way) String() string { return w.m.Label("--via " + w.via) }

// behind returns how many round trips auto is slower than the quicker transport,
// with the binary under test.
func behind(ways []*way) float64 {
	best, auto := math.Inf(1), math.NaN()
	for _, w := range ways {
		switch {
		case w.m.Compared():
		case w.via == "auto":
			auto = w.first.Median()
		default:
			best = min(best, w.first.Median())
		}
	}
	return auto - best
}

func report(ways []*way) {
	columns := []measure.Column[*way]{
		{Head: "first byte, round trips", Digits: 2, Of: func(w *way) float64 { return w.first.Median() }},
		{Head: "least", Digits: 2, Of: func(w *way) float64 { return w.first.Quantile(0) }},
		{Head: "most", Digits: 2, Of: func(w *way) float64 { return w.first.Quantile(1) }},
		{Head: "both exits", Digits: 2, Of: func(w *way) float64 { return w.wall.Median() }},
	}
	var rows []measure.Row[*way]
	for i, w := range ways {
		row := measure.Row[*way]{Name: fmt.Sprintf("%s (over %s)", w, w.over), Result: w}
		if i+1 < len(ways) && ways[i+1].m.Compared() {
			row.Against = &ways[i+1]
		}
		rows = append(rows, row)
	}
	measure.WriteReport(os.Stdout, "", columns, rows)
}
