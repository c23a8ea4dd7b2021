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

// The bars: how much longer a short message may take when a transport is blocked.
// Without --via the dialer gives TCP a head start of 50 ms, and QUIC, if it
// connects first, waits another 100 ms for TCP. Where TCP's packets are dropped,
// all of that passes, and the bar for TCP allows for it.
const (
	maxUDPBlocked = 1000.0 // ms
	maxTCPBlocked = 200.0
)

// wall is a firewall that blocks one protocol.
type wall struct {
	proto string // udp, tcp
	how   string // a verdict of nft
	host  string // a: the dialer's, for output; b: the listener's, for input
}

func (w wall) String() string {
	where := "listener's input"
	if w.host == "a" {
		where = "dialer's output"
	}
	return fmt.Sprintf("%s %s, %s", strings.ToUpper(w.proto), w.how, where)
}

// build sets the firewall up.
func (w wall) build(ctx context.Context, l *lab) error {
	hook, device := "input", "iifname"
	if w.host == "a" {
		hook, device = "output", "oifname"
	}
	rules := fmt.Sprintf("add table inet wall; add chain inet wall c { type filter hook %s priority 0; };"+
		" add rule inet wall c %s != lo meta l4proto %s %s", hook, device, w.proto, w.how)
	_, err := measure.Output(ctx, l.on(w.host, "nft", rules))
	return err
}

func walls() (all []wall) {
	for _, host := range []string{"b", "a"} {
		all = append(all, wall{"udp", "drop", host}, wall{"udp", "reject", host},
			wall{"tcp", "drop", host}, wall{"tcp", "reject", host}, wall{"tcp", "reject with tcp reset", host})
	}
	return all
}

// blocking is the flags of blocked.
type blocking struct {
	rtt    time.Duration
	rounds int
}

func blocked(flags *measure.Flags) func(context.Context, env) error {
	b := &blocking{rounds: 5}
	flags.DurationVar(&b.rtt, "rtt", 20*time.Millisecond, "round-trip `TIME`")
	flags.Count(&b.rounds, "rounds", "send `N` messages each")
	return b.run
}

func (b *blocking) run(ctx context.Context, e env) error {
	fmt.Printf(`# mesh over a WAN: one transport blocked

- producer | mesh-cat @token, mesh-recv, without --via; %d bytes, from mesh-cat's start to both exits; medians of %d;
  RTT %v. nft blocks. Bars: blocked UDP costs less than %.0f ms, blocked TCP less than %.0f ms.
`, shortBytes, b.rounds, b.rtt, maxUDPBlocked, maxTCPBlocked)
	rows := [][]string{{"blocked", "ms unblocked", "ms blocked", "delay ms", "via"}}
	var errs []error
	for _, w := range walls() {
		before, after, via, err := b.measure(ctx, e, w)
		if err != nil {
			errs = append(errs, fmt.Errorf("%v: %w", w, err))
			continue
		}
		delay := after - before
		measure.Say("%v: %.1f ms, %.1f ms blocked, over %s", w, before, after, via)
		rows = append(rows, []string{w.String(), measure.Number(before, 1), measure.Number(after, 1), measure.Number(delay, 1), via})
		bar := map[string]float64{"udp": maxUDPBlocked, "tcp": maxTCPBlocked}[w.proto]
		if delay >= bar {
			errs = append(errs, fmt.Errorf("%v: a delay of %.1f ms, the bar is %.0f ms", w, delay, bar))
		}
	}
	measure.WriteTable(os.Stdout, rows)
	return errors.Join(errs...)
}

// measure returns the median times in ms without and with the firewall, and the
// transport of the last message.
func (b *blocking) measure(ctx context.Context, e env, w wall) (before, after float64, via string, err error) {
	l, err := openLab(ctx, e, "--delay", (b.rtt / 2).String(), "--rate", "100mbit", "--seed", "1")
	if err != nil {
		return 0, 0, "", err
	}
	defer l.close()
	if before, _, err = b.median(ctx, e, l); err != nil {
		return 0, 0, "", fmt.Errorf("not blocked: %w", err)
	}
	if err := w.build(ctx, l); err != nil {
		return 0, 0, "", err
	}
	after, via, err = b.median(ctx, e, l)
	return before, after, via, err
}

// median sends short messages and returns their median time in ms.
func (b *blocking) median(ctx context.Context, e env, l *lab) (ms float64, via string, err error) {
	var took measure.Figures
	for range b.rounds {
		s, err := sendShort(ctx, e, e.mesh(), l, "auto")
		if err != nil {
			return 0, "", err
		}
		took, via = append(took, measure.MS(s.wall)), s.via
	}
	return took.Median(), via, nil
}
