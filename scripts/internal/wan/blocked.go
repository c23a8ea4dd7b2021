//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"mesh/scripts/internal/measure"
)

// The bars: how much longer a short message may take when a transport is blocked.
// Without --via the dialer gives TCP a head start of 50 ms, and QUIC, if it
// connects first, waits another 100 ms for TCP. Where TCP's packets are dropped,
// all of that passes, and the bar for TCP allows for it.
const (
	maxUDPBlocked = 1000.0 // ms
	maxTCPBlocked = 200.0
)

func blocked(ctx context.Context, e env) error {
	fmt.Printf(`# mesh over a WAN: one transport blocked

- producer | mesh-cat @token, mesh-recv, without --via; %d bytes, from mesh-cat's start to both exits; medians of %d;
  RTT %v. nft blocks. Bars: blocked UDP costs less than %.0f ms, blocked TCP less than %.0f ms.
`, shortBytes, e.rounds, e.rtt, maxUDPBlocked, maxTCPBlocked)
	rows := [][]string{{"blocked", "ms unblocked", "ms blocked", "delay ms", "via"}}
	var bars []measure.Bar
	var errs []error
	for _, host := range []string{"b", "a"} {
		for _, wall := range []string{"udp drop", "udp reject", "tcp drop", "tcp reject", "tcp reject with tcp reset"} {
			name := wall + ", " + map[string]string{"a": "dialer's output", "b": "listener's input"}[host]
			before, after, via, err := measureBlocked(ctx, e, host, wall)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
				continue
			}
			measure.Say("%s: %.1f ms, %.1f ms blocked, over %s", name, before, after, via)
			rows = append(rows, []string{name, measure.Number(before, 1), measure.Number(after, 1), measure.Number(after-before, 1), via})
			limit := maxUDPBlocked
			if strings.HasPrefix(wall, "tcp") {
				limit = maxTCPBlocked
			}
			bars = append(bars, measure.Bar{What: name + ", ms", Got: after - before, Op: "<", Limit: limit})
		}
	}
	measure.WriteTable(os.Stdout, rows)
	return errors.Join(append(errs, measure.CheckBars(os.Stdout, bars))...)
}

// measureBlocked returns the median times in ms without and with a firewall, and
// the transport of the last message. The wall is a protocol and a verdict of nft,
// for the output of the dialer's host a or the input of the listener's host b.
func measureBlocked(ctx context.Context, e env, host, wall string) (before, after float64, via string, err error) {
	l, err := openLab(ctx, e, "--delay", (e.rtt / 2).String(), "--rate", "100mbit", "--seed", "1")
	if err != nil {
		return 0, 0, "", err
	}
	defer l.close()
	if before, _, err = l.shortMedian(ctx); err != nil {
		return 0, 0, "", fmt.Errorf("not blocked: %w", err)
	}
	hook := map[string]string{"a": "output", "b": "input"}[host]
	device := map[string]string{"a": "oifname", "b": "iifname"}[host]
	rules := fmt.Sprintf("add table inet wall; add chain inet wall c { type filter hook %s priority 0; };"+
		" add rule inet wall c %s != lo meta l4proto %s", hook, device, wall)
	if _, err := measure.Output(l.on(host, "nft", rules)); err != nil {
		return 0, 0, "", err
	}
	after, via, err = l.shortMedian(ctx)
	return before, after, via, err
}

// shortMedian sends short messages and returns their median time in ms.
func (l *lab) shortMedian(ctx context.Context) (ms float64, via string, err error) {
	var took measure.Figures
	for range l.e.rounds {
		t, err := l.sendShort(ctx, meshTool(l.e.mesh(), "auto", "", ""))
		if err != nil {
			return 0, "", err
		}
		took, via = append(took, measure.MS(t.wall())), t.job.Via()
	}
	return took.Median(), via, nil
}
