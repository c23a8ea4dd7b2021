//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"mesh/pipe/term/vt"
	"mesh/scripts/internal/measure"
)

const (
	maxInterrupt = 300.0 // ms: the bar, from Ctrl-C to the prompt
	floodTime    = 2 * time.Second
	prompt       = "PROMPT>"
)

// interrupts ends yes with Ctrl-C over a path of 100 kB/s, and measures the time
// until the viewer's screen shows the prompt.
func interrupts(ctx context.Context, e env, via string, rtt time.Duration, times int) error {
	dir, err := e.runDir()
	if err != nil {
		return err
	}
	l, err := openLab(ctx, e, "--rate", "800kbit", "--delay", (rtt / 2).String(), "--seed", "1")
	if err != nil {
		return err
	}
	defer l.close()
	job, m := l.job(dir), e.mesh()
	sharer, err := m.Share(ctx, job, "--listen HOST:0", "sh", "-c", "PS1='"+prompt+"' exec bash --norc --noprofile")
	if err != nil {
		return err
	}
	defer sharer.Stop()
	view := m.Command(job, "a", "mesh-tty --via "+via+" PEER.control")
	view.Env = append(view.Env, "TERM=xterm-256color")
	screen, err := measure.OpenScreen(view)
	if err != nil {
		return err
	}
	defer screen.Close()
	var took measure.Figures
	for i := range times {
		d, err := interrupt(ctx, screen)
		if err != nil {
			return fmt.Errorf("flood %d: %w", i+1, err)
		}
		measure.Say("a flood ended after %.1f ms", measure.MS(d))
		took = append(took, measure.MS(d))
	}
	if len(took) == 0 {
		return nil
	}
	worst := took.Quantile(1)
	fmt.Printf("\n`yes` over 100 kB/s, RTT %v, --via %s, %d times: from ^C to the prompt %.1f ms at the median, %.1f ms at most.\n",
		rtt, via, times, took.Median(), worst)
	if worst >= maxInterrupt {
		return fmt.Errorf("^C took %.1f ms, the bar is %.0f ms", worst, maxInterrupt)
	}
	return nil
}

// interrupt starts a flood, ends it, and returns the time until the prompt.
func interrupt(ctx context.Context, screen *measure.Screen) (time.Duration, error) {
	shown := measure.Contains(prompt)
	if err := screen.Await(ctx, "the prompt", shown); err != nil {
		return 0, err
	}
	if err := screen.Press("yes\r"); err != nil {
		return 0, err
	}
	if err := screen.Await(ctx, "the flood", func(t *vt.Terminal) bool { return !shown(t) }); err != nil {
		return 0, err
	}
	select {
	case <-time.After(floodTime):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	begin := time.Now()
	if err := screen.Press("\x03"); err != nil {
		return 0, err
	}
	err := screen.Await(ctx, "the prompt after Ctrl-C", shown)
	return time.Since(begin), err
}
