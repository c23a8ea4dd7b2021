//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"mesh/scripts/internal/table"
)

const (
	maxRecovery = 2 * time.Second // the bar for the median
	failGrace   = 5 * time.Second // for one end to end when the other has failed
)

func survive(ctx context.Context, e env, args []string) error {
	flags := flag.NewFlagSet("scripts/wan survive", flag.ContinueOnError)
	size := int64(2 << 30)
	flags.Func("bytes", "`size` of the pipe, such as 256MiB (default 2GiB)", func(text string) (err error) {
		size, err = parseSize(text)
		return err
	})
	cuts := flags.Int("cuts", 20, "cut the path this `often`")
	longest := flags.Duration("longest", 30*time.Second, "the longest cut; the shortest is 1s")
	moves := flags.Int("moves", 10, "change host a's address this `often`: ip, nat, port in turn")
	via := flags.String("via", "auto", "`carrier`, as mesh-cat has it")
	rate := flags.String("rate", "100mbit", "`rate` of the path")
	rtt := flags.Duration("rtt", 20*time.Millisecond, "round-trip `time`")
	loss := flags.String("loss", "5%", "`loss` each way")
	verbose := flags.Bool("v", false, "show what both ends say with -vv")
	seed := flags.Uint64("seed", 1, "of the order of what happens")
	limit := flags.Duration("limit", 12*time.Minute, "give up after this `time`")
	if err := options(flags, args); err != nil {
		return err
	}

	ctx, cancel := context.WithTimeoutCause(ctx, *limit, fmt.Errorf("not done in %v", *limit))
	defer cancel()
	l, err := openLab(ctx, e, "--delay", (*rtt / 2).String(), "--rate", *rate, "--loss", *loss, "--mtu", "1280",
		"--reorder", "2%", "--reorder-by", "5ms", "--dup", "1%", "--seed", "1")
	if err != nil {
		return err
	}
	defer l.close()
	dir, err := os.MkdirTemp(e.dir, "run-")
	if err != nil {
		return err
	}
	resume := []string{"--resume-for", "2m"}
	m := meshEnds{e: e, l: l, dir: dir, recv: resume, send: append(slices.Clone(resume), "--via", *via)}
	if *verbose {
		m.recv, m.send = append(m.recv, "-vv"), append(m.send, "-vv")
	}
	t, err := startTransfer(ctx, m, size)
	if err != nil {
		return err
	}

	fmt.Printf("# mesh over a WAN: survival\n\n")
	fmt.Printf("- `producer | mesh-cat --resume-for 2m --via %s @token`, `mesh-recv --resume-for 2m`: %d MiB.\n", *via, size>>20)
	fmt.Printf("- Path: %s, RTT %v, each way %s loss, 2 %% reordered by 5 ms, 1 %% duplicated, MTU 1280.\n", *rate, *rtt, *loss)
	fmt.Printf("- Recovery: from the heal, or the move, to the end of the longest silence at the receiver that begins within a\n" +
		"  second of it. What happens is spread over the bytes, so all of it happens before the end.\n")

	all := plan(*cuts, *moves, *longest, *seed)
	done, err := endure(ctx, l, t, all)
	if err != nil {
		ctx, cancel = context.WithTimeoutCause(ctx, failGrace, errors.New("ended by us"))
		defer cancel()
	}
	ended := t.end(ctx)
	if *verbose {
		say("mesh-cat said:\n%s", t.send.Said())
		say("mesh-recv said:\n%s", t.recv.Said())
	}
	health, _ := l.health(context.WithoutCancel(ctx))
	middle := t.outcome(done)
	fmt.Printf("\n%d of %d outages; recovery at the median %.2f s. ", len(done), len(all), middle.Seconds())
	if err = errors.Join(err, ended); err != nil {
		fmt.Printf("FAILED: statuses %d and %d, %s.\n", t.send.Status(), t.recv.Status(), t.progress())
		return err
	}
	fmt.Printf("Exit 0 at both ends after %.0f s, %d bytes, SHA-256 %s in and out.\n(%s)\n", t.wall().Seconds(), t.size, t.sink, health)
	if len(done) > 0 && middle >= maxRecovery {
		return fmt.Errorf("the median recovery is %.2f s, the bar is %.0f s", middle.Seconds(), maxRecovery.Seconds())
	}
	return nil
}

// endure lets all happen, spread evenly over the bytes, and returns what has.
func endure(ctx context.Context, l *lab, t *transfer, all []outage) (done []outage, err error) {
	for i := range all {
		if err := t.reach(ctx, t.size*int64(i+1)/int64(len(all)+2)); err != nil {
			return done, err
		}
		o := &all[i]
		if err := o.happen(ctx, l, t); err != nil {
			return done, fmt.Errorf("outage %d, %v at byte %d: %w", i+1, o, o.at, err)
		}
		done = all[:i+1]
		o.recovery = recoveryAfter(t.seen.all(), o.healed)
		say("outage %d of %d: %v at %d MiB, after %.0f s: recovery %.2f s", i+1, len(all), o, o.at>>20, o.healed.Seconds(), o.recovery.Seconds())
	}
	return done, nil
}

// outcome prints what was endured and returns the median recovery.
func (t *transfer) outcome(done []outage) time.Duration {
	if len(done) == 0 {
		return 0
	}
	events := t.said("a")
	rows := [][]string{{"#", "at MiB", "after s", "outage", "recovery s", "then via"}}
	var recoveries []time.Duration
	for i, o := range done {
		for _, e := range events { // the first after the recovery
			if e.Via != "" && e.Time.Sub(t.seen.begin) > o.healed+o.recovery+time.Second {
				o.via = e.Via
				break
			}
		}
		recoveries = append(recoveries, o.recovery)
		rows = append(rows, []string{
			strconv.Itoa(i + 1), strconv.FormatInt(o.at>>20, 10), fmt.Sprintf("%.0f", o.healed.Seconds()), o.String(),
			fmt.Sprintf("%.2f", o.recovery.Seconds()), o.via,
		})
	}
	table.Write(os.Stdout, rows)
	return median(recoveries)
}

// all is a copy of times.
func (a *arrivals) all() []time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]time.Duration(nil), a.times...)
}

// parseSize reads a number of bytes, KiB, MiB or GiB.
func parseSize(text string) (int64, error) {
	shift := 0
	for unit, by := range map[string]int{"KiB": 10, "MiB": 20, "GiB": 30} {
		if number, ok := strings.CutSuffix(text, unit); ok {
			text, shift = number, by
		}
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		return 0, errors.New("want a number and KiB, MiB or GiB")
	}
	return n << shift, nil
}
