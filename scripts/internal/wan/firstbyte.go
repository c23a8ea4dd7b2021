//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"mesh/scripts/internal/measure"
)

const (
	shortBytes = 1 << 10
	shortLimit = 30 * time.Second
)

// maxBehind is how many round trips --via auto may be slower than the quicker
// transport.
const maxBehind = 0.2

// What is measured of each --via, in round trips.
const (
	first = "first byte"
	exits = "both exits"
)

// sendShort sends a short message from host a to host b.
func (l *lab) sendShort(ctx context.Context, tool *measure.Tool) (*transfer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, shortLimit, errors.New("not done in "+shortLimit.String()))
	defer cancel()
	t, err := l.start(ctx, tool, shortBytes)
	if err != nil {
		return nil, err
	}
	return t, t.endMesh(ctx)
}

func firstByte(ctx context.Context, e env) error {
	fmt.Printf(`# mesh over a WAN: the first byte of a short message

- Machine: %s.
- producer | mesh-cat --via VIA @token, mesh-recv: %d bytes, RTT %v, 100 Mbit/s, no loss; medians of %d. The ways take turns.
- First byte: from mesh-cat's start to the first byte at mesh-recv's stdout. The start of the program is part of it.
`, measure.Machine(), shortBytes, e.rtt, e.rounds)
	l, err := openLab(ctx, e, "--delay", (e.rtt / 2).String(), "--rate", "100mbit", "--seed", "1")
	if err != nil {
		return err
	}
	defer l.close()
	var ways []*measure.Tool
	for _, via := range []string{"quic", "tcp", "auto"} {
		ways = append(ways, e.Tools(func(m measure.Mesh) *measure.Tool {
			return meshTool(m, "--via "+via, "--via "+via, "")
		})...)
	}
	err = measure.TakeTurns(ctx, "first byte", e.rounds, ways, func(way *measure.Tool) error {
		t, err := l.sendShort(ctx, way)
		if err != nil {
			return err
		}
		way.Add(first, float64(t.times[0])/float64(e.rtt))
		way.Add(exits, float64(t.wall())/float64(e.rtt))
		via, _, _ := strings.Cut(way.Name, " (")
		way.Name = via + " (over " + t.job.Via() + ")"
		return nil
	})
	if err != nil {
		return err
	}
	health, err := l.health()
	bar := measure.Bar{What: "first byte of auto behind the quicker transport, round trips", Got: behind(ways), Op: "≤", Limit: maxBehind}
	if !health.trusted() {
		bar.Note = "not to be trusted: the emulator was late"
	}
	err = errors.Join(err, measure.WriteFailures(os.Stdout, ways))
	measure.WriteReport(os.Stdout, "", []measure.Column{
		measure.Quantile("first byte, round trips", 2, first, 0.5, 1),
		measure.Quantile("least", 2, first, 0, 1),
		measure.Quantile("most", 2, first, 1, 1),
		measure.Quantile("both exits", 2, exits, 0.5, 1),
	}, ways)
	fmt.Printf("\n(%s)\n", health)
	if e.Check {
		err = errors.Join(err, measure.CheckBars(os.Stdout, []measure.Bar{bar}))
	}
	return err
}

// behind returns how many round trips auto is slower than the quicker transport,
// with the binary under test.
func behind(ways []*measure.Tool) float64 {
	median := func(via string) float64 { return measure.Find(ways, "--via "+via).Median(first) }
	return median("auto") - min(median("quic"), median("tcp"))
}
