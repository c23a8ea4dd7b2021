//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"mesh/scripts/internal/measure"
)

const (
	maxRecovery = 2.0             // seconds: the bar for the median
	failGrace   = 5 * time.Second // for one end to exit when the other has failed
)

// survival is the flags of survive.
type survival struct {
	size        measure.Size
	cuts, moves int
	longest     time.Duration
	via, rate   string
	rtt, limit  time.Duration
	loss        string
	verbose     bool
	seed        uint64
}

func survive(flags *measure.Flags) func(context.Context, env) error {
	s := &survival{size: 2 << 30}
	flags.Var(&s.size, "bytes", "`SIZE` of the pipe, such as 256MiB")
	flags.IntVar(&s.cuts, "cuts", 20, "cut the path `N` times")
	flags.DurationVar(&s.longest, "longest", 30*time.Second, "`TIME` of the longest cut; the shortest is 1s")
	flags.IntVar(&s.moves, "moves", 10, "change host a's address `N` times: ip, nat, port in turn")
	flags.StringVar(&s.via, "via", "auto", "`TRANSPORT`, as for mesh-cat")
	flags.StringVar(&s.rate, "rate", "100mbit", "`RATE` of the path")
	flags.DurationVar(&s.rtt, "rtt", 20*time.Millisecond, "round-trip `TIME`")
	flags.StringVar(&s.loss, "loss", "5%", "`LOSS` in each direction")
	flags.BoolVar(&s.verbose, "verbose", false, "show what both ends print with -vv")
	flags.Uint64Var(&s.seed, "seed", 1, "`N` selects the order of cuts and moves")
	flags.DurationVar(&s.limit, "limit", 12*time.Minute, "give up after this `TIME`")
	return s.run
}

func (s *survival) run(ctx context.Context, e env) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.limit, fmt.Errorf("not done in %v", s.limit))
	defer cancel()
	l, err := openLab(ctx, e, "--delay", (s.rtt / 2).String(), "--rate", s.rate, "--loss", s.loss, "--mtu", "1280",
		"--reorder", "2%", "--reorder-by", "5ms", "--dup", "1%", "--seed", "1")
	if err != nil {
		return err
	}
	defer l.close()
	dir, err := e.runDir()
	if err != nil {
		return err
	}
	both := "--resume-for 2m"
	if s.verbose {
		both += " -vv"
	}
	t, err := startTransfer(ctx, e.mesh(), l.job(dir), s.size, both+" --via "+s.via, both)
	if err != nil {
		return err
	}
	fmt.Printf(`# mesh over a WAN: survival

- producer | mesh-cat --resume-for 2m --via %s @token, mesh-recv --resume-for 2m: %s.
- Path: %s, RTT %v, in each direction %s loss, 2 %% reordered by 5 ms, 1 %% duplicated, MTU 1280.
- Recovery: from the heal, or the move, to the end of the longest silence at the receiver that begins within a second
  of it. Cuts and moves are spread evenly over the bytes, so that all happen before the end.
`, s.via, s.size.String(), s.rate, s.rtt, s.loss)

	all := plan(s.cuts, s.moves, s.longest, s.seed)
	done, err := endure(ctx, l, t, all)
	if err != nil {
		ctx, cancel = context.WithTimeoutCause(ctx, failGrace, errors.New("stopped after the failure"))
		defer cancel()
	}
	err = errors.Join(err, t.end(ctx))
	if s.verbose {
		measure.Say("mesh-cat printed:\n%s", t.send.Said())
		measure.Say("mesh-recv printed:\n%s", t.recv.Said())
	}
	health, _ := l.health(context.WithoutCancel(ctx))
	median := t.outcome(done)
	fmt.Printf("\n%d of %d outages; median recovery %s s. ", len(done), len(all), measure.Number(median, 2))
	if err != nil {
		fmt.Printf("FAILED: statuses %d and %d, %s.\n", t.send.Status(), t.recv.Status(), t.progress())
		return err
	}
	fmt.Printf("Exit 0 at both ends after %.0f s, %d bytes, SHA-256 %s in and out.\n(%s)\n", t.wall().Seconds(), t.size, t.sink, health)
	if median >= maxRecovery {
		return fmt.Errorf("the median recovery is %.2f s, the bar is %.0f s", median, maxRecovery)
	}
	return nil
}

// outcome prints the outages and returns the median recovery in seconds, NaN if
// there were none.
func (t *transfer) outcome(done []outage) float64 {
	events := t.job.Events("a")
	rows := [][]string{{"#", "at MiB", "after s", "outage", "recovery s", "then via"}}
	var recoveries measure.Figures
	for i, o := range done {
		via := ""
		for _, e := range events { // the first after the recovery
			if e.Via != "" && e.Time.Sub(t.seen.begin) > o.healed+o.recovery+time.Second {
				via = e.Via
				break
			}
		}
		recoveries = append(recoveries, o.recovery.Seconds())
		rows = append(rows, []string{
			strconv.Itoa(i + 1), strconv.FormatInt(o.at>>20, 10), fmt.Sprintf("%.0f", o.healed.Seconds()), o.String(),
			fmt.Sprintf("%.2f", o.recovery.Seconds()), via,
		})
	}
	if len(done) > 0 {
		measure.WriteTable(os.Stdout, rows)
	}
	return recoveries.Median()
}
