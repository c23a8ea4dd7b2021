//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"mesh/scripts/internal/measure"
)

const maxRecovery = 2.0 // seconds: the bar for the median

func survive(ctx context.Context, e env) error {
	limit := 3*time.Minute + time.Duration(e.cuts)*e.cut + time.Duration(e.size.MiB()/4)*time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done in %v", limit))
	defer cancel()
	l, err := openLab(ctx, e, "--delay", "10ms", "--rate", "100mbit", "--loss", "5%", "--mtu", "1280",
		"--reorder", "2%", "--reorder-by", "5ms", "--dup", "1%", "--seed", "1")
	if err != nil {
		return err
	}
	defer l.close()
	t, err := l.start(ctx, meshTool(e.mesh(), e.via, "--resume-for 2m --via "+e.via, "--resume-for 2m"), e.size)
	if err != nil {
		return err
	}
	fmt.Printf(`# mesh over a WAN: survival

- producer | mesh-cat --resume-for 2m --via %s @token, mesh-recv --resume-for 2m: %s.
- Path: 100 Mbit/s, RTT 20 ms, in each direction 5 %% loss, 2 %% reordered by 5 ms, 1 %% duplicated, MTU 1280.
- Recovery: from the heal, or the move, to the end of the longest silence at the receiver that begins within a second
  of it. Cuts and moves are spread evenly over the bytes, so that all happen before the end.
`, e.via, e.size.String())
	done, err := t.endure(ctx, l, plan(e.cuts, e.moves, e.cut), t.endMesh)
	health, _ := l.health()
	median := t.writeOutages(done)
	fmt.Printf("\n%d of %d outages; median recovery %s s. ", len(done), e.cuts+e.moves, measure.Number(median, 2))
	if err != nil {
		fmt.Printf("FAILED: statuses %d and %d, %s.\n", t.send.Status(), t.recv.Status(), t.progress())
		return err
	}
	fmt.Printf("Exit 0 at both ends after %.0f s; all %d bytes arrived exactly.\n(%s)\n", t.wall().Seconds(), t.size, health)
	if median >= maxRecovery {
		return fmt.Errorf("the median recovery is %.2f s, the bar is %.0f s", median, maxRecovery)
	}
	return nil
}

// writeOutages prints the outages and returns the median recovery in seconds, NaN
// if there were none.
func (t *transfer) writeOutages(done []outage) float64 {
	rows := [][]string{{"#", "at KiB", "after s", "outage", "recovery s"}}
	var recoveries measure.Figures
	for i, o := range done {
		recoveries = append(recoveries, o.recovery.Seconds())
		rows = append(rows, []string{
			strconv.Itoa(i + 1), strconv.FormatInt(o.at>>10, 10), fmt.Sprintf("%.0f", o.healed.Seconds()), o.String(),
			fmt.Sprintf("%.2f", o.recovery.Seconds()),
		})
	}
	measure.WriteTable(os.Stdout, rows)
	return recoveries.Median()
}
