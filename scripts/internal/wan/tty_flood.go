//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"mesh/pipe/term/pty"
	"mesh/pipe/term/vt"
	"mesh/scripts/internal/host"
)

const (
	maxInterrupt = 300 * time.Millisecond // the bar, from ^C to the prompt
	floodTime    = 2 * time.Second
	prompt       = "PROMPT>"
)

// interrupts ends `yes` with ^C over a path of 100 kB/s, and measures how long it
// takes until the viewer has the prompt.
func interrupts(ctx context.Context, e env, via string, rtt time.Duration, times int) error {
	dir, err := os.MkdirTemp(e.dir, "run-")
	if err != nil {
		return err
	}
	l, err := openLab(ctx, e, "--rate", "800kbit", "--delay", (rtt / 2).String(), "--seed", "1")
	if err != nil {
		return err
	}
	defer l.close()
	m := meshEnds{e: e, l: l, dir: dir}
	share := m.command("b", "mesh-tty", []string{
		"--share", "--headless", "--size", "80x24", "--control", "--listen", hostB + ":0",
		"--token-file", m.token(), "--", "sh", "-c", "PS1='" + prompt + "' exec bash --norc --noprofile",
	})
	sharer, err := host.Start(ctx, share, nil, nil)
	if err != nil {
		return err
	}
	defer sharer.Stop()
	token := m.token() + ".control"
	if err := sharer.Await(ctx, func() bool { _, err := os.Stat(token); return err == nil }); err != nil {
		return fmt.Errorf("mesh-tty --share: %w", err)
	}
	view := m.command("a", "mesh-tty", []string{"--via", via, "@" + token})
	p, err := pty.Start(pty.Options{Command: view.Args, Env: append(view.Env, "TERM=xterm-256color"), Cols: 80, Rows: 24})
	if err != nil {
		return err
	}
	v := &viewer{keys: p, screen: vt.New(80, 24, 0), changed: make(chan struct{}, 1)}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer p.Close()
	wg.Go(func() { v.follow(p) })

	var took []time.Duration
	for range times {
		d, err := v.interrupt(ctx)
		if err != nil {
			return fmt.Errorf("flood %d: %w", len(took)+1, err)
		}
		say("a flood ended after %s ms", ms(d))
		took = append(took, d)
	}
	if len(took) == 0 {
		return nil
	}
	worst := slices.Max(took)
	fmt.Printf("\n`yes` over 100 kB/s, RTT %v, --via %s, %d times: from ^C to the prompt %s ms at the median, %s ms at most.\n",
		rtt, via, times, ms(median(took)), ms(worst))
	if worst >= maxInterrupt {
		return fmt.Errorf("^C took %s ms, the bar is %v", ms(worst), maxInterrupt)
	}
	return nil
}

// viewer is a person's terminal, on which mesh-tty draws.
type viewer struct {
	keys *pty.Process

	mu      sync.Mutex
	screen  *vt.Terminal
	ended   bool
	changed chan struct{} // by follow, after each change
}

func (v *viewer) follow(p *pty.Process) {
	buf := make([]byte, 64<<10)
	for ended := false; !ended; {
		n, err := p.Read(buf)
		ended = err != nil
		v.mu.Lock()
		v.screen.Write(buf[:n])
		v.ended = ended
		v.mu.Unlock()
		select {
		case v.changed <- struct{}{}:
		default:
		}
	}
}

// until waits until the screen shows what is wanted.
func (v *viewer) until(ctx context.Context, what string, is func(text string) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, host.ReadyTimeout, errors.New("not in time"))
	defer cancel()
	for {
		v.mu.Lock()
		text, ended := strings.Join(v.screen.Text(), "\n"), v.ended
		v.mu.Unlock()
		switch {
		case is(text):
			return nil
		case ended:
			return fmt.Errorf("%s: the viewer ended: %s", what, text)
		}
		select {
		case <-v.changed:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %s", what, context.Cause(ctx), text)
		}
	}
}

// interrupt starts a flood and ends it.
func (v *viewer) interrupt(ctx context.Context) (time.Duration, error) {
	shown := func(text string) bool { return strings.Contains(text, prompt) }
	if err := v.until(ctx, "the prompt", shown); err != nil {
		return 0, err
	}
	if _, err := v.keys.Write([]byte("yes\r")); err != nil {
		return 0, err
	}
	if err := v.until(ctx, "the flood", func(text string) bool { return !shown(text) }); err != nil {
		return 0, err
	}
	select {
	case <-time.After(floodTime):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	begin := time.Now()
	if _, err := v.keys.Write([]byte{3}); err != nil {
		return 0, err
	}
	err := v.until(ctx, "the prompt after ^C", shown)
	return time.Since(begin), err
}
