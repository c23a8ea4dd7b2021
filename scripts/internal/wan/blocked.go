//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"mesh/scripts/internal/table"
)

// What blocking one carrier may cost. Without a flag the caller gives TCP a head
// start of 50 ms, and QUIC, when it is there first, waits 100 ms more for TCP:
// where TCP's packets vanish that is spent, and "unchanged" allows for it.
const (
	maxUDPBlocked = time.Second
	maxTCPBlocked = 200 * time.Millisecond
	blockedBytes  = 1 << 10
)

// wall is a firewall's way to block a protocol.
type wall struct {
	proto string // udp, tcp
	how   string // what nft does
	host  string // where: the caller's, a, on the way out, or the listener's, b, on the way in
}

func (w wall) String() string {
	where := "listener's input"
	if w.host == "a" {
		where = "caller's output"
	}
	return fmt.Sprintf("%s %s, %s", strings.ToUpper(w.proto), w.how, where)
}

// build builds it.
func (w wall) build(ctx context.Context, l *lab) error {
	hook, device := "input", "iifname"
	if w.host == "a" {
		hook, device = "output", "oifname"
	}
	rules := fmt.Sprintf("add table inet wall; add chain inet wall c { type filter hook %s priority 0; };"+
		" add rule inet wall c %s != lo meta l4proto %s %s", hook, device, w.proto, w.how)
	_, err := l.output(ctx, w.host, "nft", rules)
	return err
}

func walls() (all []wall) {
	for _, host := range []string{"b", "a"} {
		all = append(all, wall{"udp", "drop", host}, wall{"udp", "reject", host},
			wall{"tcp", "drop", host}, wall{"tcp", "reject", host}, wall{"tcp", "reject with tcp reset", host})
	}
	return all
}

func blocked(ctx context.Context, e env, args []string) error {
	flags := flag.NewFlagSet("scripts/wan blocked", flag.ContinueOnError)
	rtt := flags.Duration("rtt", 20*time.Millisecond, "round-trip `time`")
	runs := flags.Int("runs", 5, "`runs` each")
	if err := options(flags, args); err != nil {
		return err
	}
	if *runs < 1 {
		return errors.New("--runs: want 1 at least")
	}

	fmt.Printf("# mesh over a WAN: one carrier blocked\n\n")
	fmt.Printf("- `producer | mesh-cat @token`, `mesh-recv`, no flag; %d bytes, from mesh-cat's start to both exits; medians of %d;\n"+
		"  RTT %v. Blocked by nft. Bars: UDP blocked costs less than %v, TCP blocked less than %v.\n",
		blockedBytes, *runs, *rtt, maxUDPBlocked, maxTCPBlocked)
	rows := [][]string{{"blocked", "ms unblocked", "ms blocked", "delay ms", "via"}}
	var errs []error
	for _, w := range walls() {
		before, after, via, err := w.measure(ctx, e, *rtt, *runs)
		if err != nil {
			errs = append(errs, fmt.Errorf("%v: %w", w, err))
			continue
		}
		say("%v: %s ms, %s ms blocked, over %s", w, ms(before), ms(after), via)
		rows = append(rows, []string{w.String(), ms(before), ms(after), ms(after - before), via})
		bar := map[string]time.Duration{"udp": maxUDPBlocked, "tcp": maxTCPBlocked}[w.proto]
		if after-before >= bar {
			errs = append(errs, fmt.Errorf("%v: a delay of %s ms, the bar is %v", w, ms(after-before), bar))
		}
	}
	table.Write(os.Stdout, rows)
	return errors.Join(errs...)
}

// measure returns the medians without and with the wall, and what carried the
// last pipe.
func (w wall) measure(ctx context.Context, e env, rtt time.Duration, runs int) (before, after time.Duration, via string, err error) {
	l, err := openLab(ctx, e, "--delay", (rtt / 2).String(), "--rate", "100mbit", "--seed", "1")
	if err != nil {
		return 0, 0, "", err
	}
	defer l.close()
	if before, _, err = small(ctx, e, l, runs); err != nil {
		return 0, 0, "", fmt.Errorf("not blocked: %w", err)
	}
	if err := w.build(ctx, l); err != nil {
		return 0, 0, "", err
	}
	after, via, err = small(ctx, e, l, runs)
	return before, after, via, err
}

// small sends a little and returns the median time.
func small(ctx context.Context, e env, l *lab, runs int) (time.Duration, string, error) {
	var took []time.Duration
	via := ""
	for range runs {
		dir, err := os.MkdirTemp(e.dir, "run-")
		if err != nil {
			return 0, "", err
		}
		limit, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("not done in 30 s"))
		t, err := startTransfer(limit, meshEnds{e: e, l: l, dir: dir}, blockedBytes)
		if err == nil {
			err = t.end(limit)
		}
		cancel()
		if err != nil {
			return 0, "", err
		}
		for _, ev := range t.said("a") {
			if ev.Event == "receipt" {
				via = ev.Via
			}
		}
		took = append(took, t.wall())
	}
	return median(took), via, nil
}
