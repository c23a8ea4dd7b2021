//go:build linux

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"time"

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

func tty(flags *measure.Flags) func(context.Context, env) error {
	size := measure.Size(5 << 20)
	flags.Var(&size, "bytes", "`SIZE` of what the command prints, 64 KiB a second")
	cut := flags.Duration("cut", 20*time.Second, "`TIME` of the cut")
	via := flags.String("via", "auto", "`TRANSPORT`, as for mesh-tty")
	rate := flags.String("rate", "10mbit", "`RATE` of the path")
	rtt := flags.Duration("rtt", 20*time.Millisecond, "round-trip `TIME`")
	loss := flags.String("loss", "1%", "`LOSS` in each direction")
	floods := flags.Int("floods", 5, "end a flood over 100 kB/s `N` times")
	return func(ctx context.Context, e env) error {
		fmt.Printf("# mesh over a WAN: a shared terminal\n")
		path := []string{"--delay", (*rtt / 2).String(), "--seed", "1"}
		exact := printing{via: *via, size: size, pace: slowPrint, path: append(path, "--rate", *rate, "--loss", *loss)}
		lossy := printing{via: *via, size: lostBytes, pace: fastPrint, path: append(path, "--rate", "100mbit")}
		return errors.Join(
			exact.survives(ctx, e, []outage{{cut: *cut}, {move: "ip"}, {move: "nat"}, {move: "port"}}),
			lossy.misses(ctx, e, lostCut),
			interrupts(ctx, e, *via, *rtt, *floods),
		)
	}
}

// printing is a command that prints size random bytes, pace of them a second, on a
// shared terminal, and a viewer whose output is compared with them.
type printing struct {
	via  string
	size measure.Size
	pace int
	path []string
}

// start starts sharer and viewer over a path of their own. The sharer is the
// sender of the returned transfer, which has no feeder.
func (p printing) start(ctx context.Context, e env) (*lab, *transfer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	dir, err := e.runDir()
	if err != nil {
		return nil, nil, err
	}
	l, err := openLab(ctx, e, p.path...)
	if err != nil {
		return nil, nil, err
	}
	t := &transfer{job: l.job(dir), size: int64(p.size), seen: &arrivals{wrong: -1}}
	if err := p.join(ctx, e.mesh(), t, self); err != nil {
		l.close()
		return nil, nil, err
	}
	return l, t, nil
}

func (p printing) join(ctx context.Context, m measure.Mesh, t *transfer, self string) (err error) {
	t.send, err = m.Share(ctx, t.job, "--listen HOST:0",
		"sh", "-c", `stty raw -echo; exec "$0" print "$1" "$2"`, self, strconv.FormatInt(t.size, 10), strconv.Itoa(p.pace))
	if err != nil {
		return err
	}
	out, stdout, err := os.Pipe()
	if err == nil {
		t.out, t.seen.begin = out, time.Now()
		view := m.Command(t.job, "a", "mesh-tty --raw --backlog --strict --via "+p.via+" PEER")
		t.recv, err = measure.Start(ctx, view, nil, stdout)
		stdout.Close()
	}
	if err != nil {
		t.send.Stop()
		return err
	}
	t.wg.Go(func() { t.sink = readCompared(out, t.seen) })
	return nil
}

// limit bounds the whole run: the printing, and a minute.
func (p printing) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	d := time.Minute + time.Duration(int(p.size)/p.pace)*time.Second
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("not done in %v", d))
}

// survives makes the outages happen while the command prints. The viewer must get
// every byte, and both ends must end with 0.
func (p printing) survives(ctx context.Context, e env, all []outage) error {
	ctx, cancel := p.limit(ctx)
	defer cancel()
	l, t, err := p.start(ctx, e)
	if err != nil {
		return err
	}
	defer l.close()
	fmt.Printf("\n- mesh-tty --share --headless of a command that prints %s of random bytes, %d KiB a second; mesh-tty --raw --backlog\n"+
		"  --strict --via %s @token into a pipe; path: %v.\n", p.size.String(), p.pace>>10, p.via, p.path)
	done, err := endure(ctx, l, t, all)
	if err != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, failGrace, errors.New("stopped after the failure"))
		defer cancel()
	}
	err = errors.Join(err, t.stop(ctx))
	rows := [][]string{{"outage", "at KiB", "first byte after s"}}
	for _, o := range done {
		rows = append(rows, []string{o.String(), strconv.FormatInt(o.at>>10, 10), fmt.Sprintf("%.2f", o.recovery.Seconds())})
	}
	measure.WriteTable(os.Stdout, rows)
	if err == nil {
		err = t.compareViewed()
	}
	if err != nil {
		fmt.Printf("\nFAILED: statuses %d and %d, %s.\n", t.send.Status(), t.recv.Status(), t.progress())
		return err
	}
	fmt.Printf("\nExit 0 at both ends, %d bytes, SHA-256 %s printed and viewed. The command ended after %.1f s; alone it takes %.1f s.\n",
		t.seen.total, t.sink, t.send.Ended.Sub(t.seen.begin).Seconds(), float64(t.size)/float64(p.pace))
	return nil
}

// compareViewed checks the statuses of both ends and the viewed bytes.
func (t *transfer) compareViewed() error {
	h := sha256.New()
	io.Copy(h, io.LimitReader(measure.Random(), t.size))
	printed := hex.EncodeToString(h.Sum(nil))
	switch sharer, viewer := t.send.Status(), t.recv.Status(); {
	case sharer != 0 || viewer != 0:
		return fmt.Errorf("the sharer ended with %d (%v), the viewer with %d (%v)", sharer, t.send.Err, viewer, t.recv.Err)
	case t.sink != printed:
		return wrongBytes{fmt.Sprintf("statuses 0, but %d of %d bytes arrived; SHA-256 %s, printed was %s", t.seen.total, t.size, t.sink, printed)}
	}
	return nil
}

// misses cuts the path for so long that the sharer's history loses output. The
// viewer must connect again, report the loss and, because of --strict, end with
// the status Truncated.
func (p printing) misses(ctx context.Context, e env, cut time.Duration) error {
	ctx, cancel := p.limit(ctx)
	defer cancel()
	l, t, err := p.start(ctx, e)
	if err != nil {
		return err
	}
	defer l.close()
	o := outage{cut: cut}
	if err = t.reach(ctx, t.size/8); err == nil {
		err = o.happen(ctx, l, t)
	}
	err = errors.Join(err, t.stop(ctx))
	reported := regexp.MustCompile(`\d+ bytes of output were missed`).FindString(t.recv.Said())
	status := t.recv.Status()
	fmt.Printf("\nBeyond the history: %s, %d KiB a second, a %v: viewer's status %d, %q; first byte after %.2f s.\n",
		p.size.String(), p.pace>>10, o, status, reported, recoveryAfter(t.seen.all(), o.healed).Seconds())
	if err == nil && (status != int(proto.Truncated) || reported == "" || t.send.Status() != 0) {
		err = fmt.Errorf("beyond the history: statuses %d and %d, want 0 and %d: %s", t.send.Status(), status, proto.Truncated, t.recv.Said())
	}
	return err
}

// printPaced is the command on the shared terminal: print SIZE PACE.
func printPaced(args []string) error {
	size, err := strconv.ParseInt(args[0], 10, 64)
	pace, err2 := strconv.ParseInt(args[1], 10, 64)
	if err = errors.Join(err, err2); err != nil {
		return err
	}
	r, begin, done := io.LimitReader(measure.Random(), size), time.Now(), int64(0)
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		due := int64(time.Since(begin).Seconds() * float64(pace))
		n, err := io.CopyN(os.Stdout, r, due-done)
		done += n
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("after %d bytes: %w", done, err)
		}
	}
}
