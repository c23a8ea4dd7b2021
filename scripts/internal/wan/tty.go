//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"mesh/pipe/term/vt"
	"mesh/proto"
	"mesh/scripts/internal/measure"
)

// How fast the command on the shared terminal prints, in bytes a second. What it
// prints at slowPrint during the longest cut fits into the sharer's history; at
// fastPrint it does not.
const (
	slowPrint = 64 << 10
	fastPrint = 1 << 20
	lostBytes = 16 << 20
	lostCut   = 10 * time.Second
)

const (
	maxInterrupt = 300.0 // ms: the bar, from Ctrl-C to the prompt
	floodTime    = 2 * time.Second
	prompt       = "PROMPT>"
)

func tty(ctx context.Context, e env) error {
	limit := 3*time.Minute + e.cut + time.Duration(e.size/slowPrint)*time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done in %v", limit))
	defer cancel()
	fmt.Printf("# mesh over a WAN: a shared terminal\n")
	return errors.Join(survivesOutages(ctx, e), reportsLoss(ctx, e), interruptsFloods(ctx, e))
}

// view starts a shared terminal whose command prints size random bytes, pace of
// them a second, and a viewer whose output is compared with them. The sharer is
// the sender of the returned transfer.
func (l *lab) view(ctx context.Context, size measure.Size, pace int) (*transfer, error) {
	t, err := l.newTransfer(int64(size))
	if err != nil {
		return nil, err
	}
	t.job.Shell = fmt.Sprintf("stty raw -echo; exec %s print %d %d", measure.Self(), size, pace)
	ends := l.e.mesh().Terminal(t.job, "--raw --backlog --strict --via "+l.e.via+" PEER")
	if t.send, err = measure.StartReady(ctx, ends.Recv, nil, ends.Ready); err != nil {
		return nil, err
	}
	t.begin = time.Now()
	if t.recv, err = measure.Start(ctx, ends.Send, nil, t.pipe); err != nil {
		t.send.Stop()
		return nil, err
	}
	t.wg.Go(t.read)
	return t, nil
}

// survivesOutages makes outages happen while the command prints. The viewer must
// get every byte, and both ends must end with 0.
func survivesOutages(ctx context.Context, e env) error {
	l, err := openLab(ctx, e, "--delay", "10ms", "--seed", "1", "--rate", "10mbit", "--loss", "1%")
	if err != nil {
		return err
	}
	defer l.close()
	t, err := l.view(ctx, e.size, slowPrint)
	if err != nil {
		return err
	}
	fmt.Printf("\n- mesh-tty --share --headless of a command that prints %s of random bytes, %d KiB a second; mesh-tty --raw --backlog\n"+
		"  --strict --via %s @token into a pipe; path: 10 Mbit/s, RTT 20 ms, 1 %% loss in each direction.\n", e.size.String(), slowPrint>>10, e.via)
	done, err := t.endure(ctx, l, []outage{{cut: e.cut}, {move: "ip"}, {move: "nat"}, {move: "port"}}, t.end)
	t.writeOutages(done)
	if err != nil {
		fmt.Printf("\nFAILED: statuses %d and %d, %s.\n", t.send.Status(), t.recv.Status(), t.progress())
		return err
	}
	fmt.Printf("\nExit 0 at both ends; all %d bytes were viewed exactly. The command ended after %.1f s; alone it takes %.1f s.\n",
		t.total, t.send.Ended.Sub(t.begin).Seconds(), float64(t.size)/slowPrint)
	return nil
}

// reportsLoss cuts the path for so long that the sharer's history loses output. The
// viewer must connect again, report the loss and, because of --strict, end with
// the status Truncated.
func reportsLoss(ctx context.Context, e env) error {
	l, err := openLab(ctx, e, "--delay", "10ms", "--seed", "1", "--rate", "100mbit")
	if err != nil {
		return err
	}
	defer l.close()
	t, err := l.view(ctx, lostBytes, fastPrint)
	if err != nil {
		return err
	}
	o := outage{cut: lostCut}
	if err = t.reach(ctx, t.size/8); err == nil {
		err = o.happen(ctx, l, t)
	}
	err = errors.Join(err, t.stop(ctx))
	reported := regexp.MustCompile(`\d+ bytes of output were missed`).FindString(t.recv.Said())
	status := t.recv.Status()
	fmt.Printf("\nBeyond the history: %d MiB, %d KiB a second, a %v: viewer's status %d, %q; first byte after %.2f s.\n",
		lostBytes>>20, fastPrint>>10, o, status, reported, o.recovery.Seconds())
	if err == nil && (status != int(proto.Truncated) || reported == "" || t.send.Status() != 0) {
		err = fmt.Errorf("beyond the history: statuses %d and %d, want 0 and %d: %s", t.send.Status(), status, proto.Truncated, t.recv.Said())
	}
	return err
}

// printPaced is the command on the shared terminal: print SIZE PACE.
func printPaced(args []string) error {
	var size, pace int64
	if _, err := fmt.Sscan(args[0]+" "+args[1], &size, &pace); err != nil {
		return err
	}
	random, begin, done := io.LimitReader(measure.Random(), size), time.Now(), int64(0)
	for done < size {
		due := int64(time.Since(begin).Seconds() * float64(pace))
		n, err := io.CopyN(os.Stdout, random, min(due, size)-done)
		if err != nil {
			return fmt.Errorf("after %d bytes: %w", done, err)
		}
		done += n
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

// interruptsFloods ends yes with Ctrl-C over a path of 100 kB/s, and measures the
// time until the viewer's screen shows the prompt.
func interruptsFloods(ctx context.Context, e env) error {
	l, err := openLab(ctx, e, "--rate", "800kbit", "--delay", "10ms", "--seed", "1")
	if err != nil {
		return err
	}
	defer l.close()
	dir, err := os.MkdirTemp(e.Dir, "run-")
	if err != nil {
		return err
	}
	job := measure.Job{Dir: dir, Home: dir, Addr: hostB, On: l.on, Shell: "PS1='" + prompt + "' exec bash --norc --noprofile"}
	ends := e.mesh().Terminal(job, "--via "+e.via+" PEER.control")
	sharer, err := measure.StartReady(ctx, ends.Recv, nil, ends.Ready)
	if err != nil {
		return err
	}
	defer sharer.Stop()
	screen, err := measure.OpenScreen(ends.Send)
	if err != nil {
		return err
	}
	defer screen.Close()
	var took measure.Figures
	for i := range e.rounds {
		d, err := interrupt(ctx, screen)
		if err != nil {
			return fmt.Errorf("flood %d: %w", i+1, err)
		}
		measure.Say("a flood ended after %.1f ms", measure.MS(d))
		took = append(took, measure.MS(d))
	}
	fmt.Printf("\n`yes` over 100 kB/s, RTT 20 ms, --via %s, %d times: from ^C to the prompt %.1f ms at the median, %.1f ms at most.\n",
		e.via, e.rounds, took.Median(), took.Quantile(1))
	return measure.CheckBars(os.Stdout, []measure.Bar{{What: "^C, ms at most", Got: took.Quantile(1), Op: "<", Limit: maxInterrupt}})
}

// interrupt starts a flood, ends it, and returns the time until the prompt.
func interrupt(ctx context.Context, screen *measure.Screen) (took time.Duration, err error) {
	shown := measure.Contains(prompt)
	press := func(keys, what string, condition func(*vt.Terminal) bool) {
		begin := time.Now()
		if err == nil {
			err = screen.Press(keys)
		}
		if err == nil {
			err = screen.Await(ctx, what, condition)
		}
		took = time.Since(begin)
	}
	press("", "the prompt", shown)
	press("yes\r", "the flood", func(t *vt.Terminal) bool { return !shown(t) })
	time.Sleep(floodTime)
	press("\x03", "the prompt after Ctrl-C", shown)
	return took, err
}
