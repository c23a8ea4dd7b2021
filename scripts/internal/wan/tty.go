//go:build linux

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"time"

	"mesh/proto"
	"mesh/scripts/internal/host"
	"mesh/scripts/internal/table"
)

// A terminal that is shared on b and viewed on a: what it prints in the longest cut
// fits into the sharer's history at slowPrint a second, and does not at fastPrint.
const (
	slowPrint = 64 << 10
	fastPrint = 1 << 20
	lostCut   = 10 * time.Second
)

func tty(ctx context.Context, e env, args []string) error {
	flags := flag.NewFlagSet("scripts/wan tty", flag.ContinueOnError)
	size := int64(5 << 20)
	flags.Func("bytes", "`size` of what the command prints, 64 KiB a second (default 5MiB)", func(text string) (err error) {
		size, err = parseSize(text)
		return err
	})
	cut := flags.Duration("cut", 20*time.Second, "the cut's `length`")
	via := flags.String("via", "auto", "`carrier`, as mesh-tty has it")
	rate := flags.String("rate", "10mbit", "`rate` of the path")
	rtt := flags.Duration("rtt", 20*time.Millisecond, "round-trip `time`")
	loss := flags.String("loss", "1%", "`loss` each way")
	floods := flags.Int("floods", 5, "end a flood over 100 kB/s so `often`")
	if err := options(flags, args); err != nil {
		return err
	}
	fmt.Printf("# mesh over a WAN: a shared terminal\n")
	path := []string{"--delay", (*rtt / 2).String(), "--seed", "1"}
	exact := watching{e: e, via: *via, size: size, pace: slowPrint, path: append(path, "--rate", *rate, "--loss", *loss)}
	lossy := watching{e: e, via: *via, size: 16 << 20, pace: fastPrint, path: append(path, "--rate", "100mbit")}
	return errors.Join(
		exact.survives(ctx, []outage{{cut: *cut}, {move: "ip"}, {move: "nat"}, {move: "port"}}),
		lossy.misses(ctx, lostCut),
		interrupts(ctx, e, *via, *rtt, *floods),
	)
}

// watching is a command that prints size random bytes, pace of them a second, on a
// terminal that is shared, and a viewer that gets them into a pipe.
type watching struct {
	e    env
	via  string
	size int64
	pace int
	path []string
}

// start starts both ends over a path of their own. What is viewed is a transfer
// without a feeder.
func (w watching) start(ctx context.Context) (*lab, *transfer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp(w.e.dir, "run-")
	if err != nil {
		return nil, nil, err
	}
	l, err := openLab(ctx, w.e, w.path...)
	if err != nil {
		return nil, nil, err
	}
	t := &transfer{m: meshEnds{e: w.e, l: l, dir: dir}, size: w.size, seen: &arrivals{wrong: -1}}
	if err := w.join(ctx, t, self); err != nil {
		l.close()
		return nil, nil, err
	}
	return l, t, nil
}

func (w watching) join(ctx context.Context, t *transfer, self string) (err error) {
	args := []string{
		"--share", "--headless", "--listen", hostB + ":0", "--token-file", t.m.token(), "--",
		"sh", "-c", `stty raw -echo; exec "$0" print "$1" "$2"`, self, strconv.FormatInt(w.size, 10), strconv.Itoa(w.pace),
	}
	if t.send, err = host.Start(ctx, t.m.command("b", "mesh-tty", args), nil, nil); err != nil {
		return err
	}
	if err := t.send.Await(ctx, t.m.ready); err != nil {
		t.send.Stop()
		return fmt.Errorf("mesh-tty --share: %w", err)
	}
	out, viewed, err := os.Pipe()
	if err == nil {
		t.out, t.seen.begin = out, time.Now()
		args := []string{"--raw", "--backlog", "--strict", "--via", w.via, "@" + t.m.token()}
		t.recv, err = host.Start(ctx, t.m.command("a", "mesh-tty", args), nil, viewed)
		viewed.Close()
	}
	if err != nil {
		t.send.Stop()
		return err
	}
	t.wg.Go(func() { t.sink = readCompared(out, t.seen) })
	return nil
}

// endViewed waits for both ends, and stops them if ctx ends first.
func (t *transfer) endViewed(ctx context.Context) (err error) {
	for _, p := range []*host.Process{t.send, t.recv} {
		select {
		case <-p.Done:
		case <-ctx.Done():
			err = fmt.Errorf("%w: %s", context.Cause(ctx), t.progress())
		}
	}
	t.send.Stop()
	t.recv.Stop()
	t.out.SetReadDeadline(time.Now().Add(time.Second))
	t.wg.Wait()
	t.out.Close()
	return err
}

// limit is how long all may take: the printing, and a minute.
func (w watching) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	d := time.Minute + time.Duration(w.size/int64(w.pace))*time.Second
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("not done in %v", d))
}

// survives lets all happen while the command prints. The viewer must get every
// byte, and both ends end with 0.
func (w watching) survives(ctx context.Context, all []outage) error {
	ctx, cancel := w.limit(ctx)
	defer cancel()
	l, t, err := w.start(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	fmt.Printf("\n- `mesh-tty --share --headless` of a command that prints %.1f MiB of random bytes, %d KiB a second; `mesh-tty --raw\n"+
		"  --backlog --strict --via %s @token` into a pipe; path: %v.\n", float64(w.size)/(1<<20), w.pace>>10, w.via, w.path)
	done, err := endure(ctx, l, t, all)
	if err != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, failGrace, errors.New("ended by us"))
		defer cancel()
	}
	err = errors.Join(err, t.endViewed(ctx))
	rows := [][]string{{"outage", "at KiB", "first byte after s"}}
	for _, o := range done {
		rows = append(rows, []string{o.String(), strconv.FormatInt(o.at>>10, 10), fmt.Sprintf("%.2f", o.recovery.Seconds())})
	}
	table.Write(os.Stdout, rows)
	h := sha256.New()
	io.Copy(h, io.LimitReader(random(), w.size))
	printed := hex.EncodeToString(h.Sum(nil))
	sharer, viewer := t.send.Status(), t.recv.Status()
	switch {
	case err != nil:
	case sharer != 0 || viewer != 0:
		err = fmt.Errorf("the sharer ended with %d (%v), the viewer with %d (%v)", sharer, t.send.Err, viewer, t.recv.Err)
	case t.sink != printed:
		err = wrongBytes{fmt.Sprintf("statuses 0, but %d of %d bytes came; SHA-256 %s, printed was %s", t.seen.total, w.size, t.sink, printed)}
	}
	if err != nil {
		fmt.Printf("\nFAILED: statuses %d and %d, %s.\n", sharer, viewer, t.progress())
		return err
	}
	fmt.Printf("\nExit 0 at both ends, %d bytes, SHA-256 %s printed and viewed. The command ended after %.1f s; alone it takes %.1f s.\n",
		t.seen.total, t.sink, t.send.Ended.Sub(t.seen.begin).Seconds(), float64(w.size)/float64(w.pace))
	return nil
}

// misses cuts the path for so long that more is printed than the sharer keeps. The
// viewer must come back, say so, and end with 12, as --strict wants.
func (w watching) misses(ctx context.Context, cut time.Duration) error {
	ctx, cancel := w.limit(ctx)
	defer cancel()
	l, t, err := w.start(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	o := outage{cut: cut}
	if err = t.reach(ctx, w.size/8); err == nil {
		err = o.happen(ctx, l, t)
	}
	err = errors.Join(err, t.endViewed(ctx))
	told := regexp.MustCompile(`\d+ bytes of output were missed`).FindString(t.recv.Said())
	status := t.recv.Status()
	fmt.Printf("\nBeyond the history: %d MiB, %d KiB a second, a %v: viewer's status %d, %q; first byte after %.2f s.\n",
		w.size>>20, w.pace>>10, o, status, told, recoveryAfter(t.seen.all(), o.healed).Seconds())
	if err == nil && (status != int(proto.Truncated) || told == "" || t.send.Status() != 0) {
		err = fmt.Errorf("beyond the history: statuses %d and %d, want 0 and %d: %s", t.send.Status(), status, proto.Truncated, t.recv.Said())
	}
	return err
}

// printPaced is the command that the terminal runs: it prints size bytes, pace of
// them a second.
func printPaced(size, pace string) error {
	n, err := strconv.ParseInt(size, 10, 64)
	perSecond, err2 := strconv.ParseInt(pace, 10, 64)
	if err = errors.Join(err, err2); err != nil {
		return err
	}
	r, begin, done := io.LimitReader(random(), n), time.Now(), int64(0)
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		due := int64(time.Since(begin).Seconds() * float64(perSecond))
		more, err := io.CopyN(os.Stdout, r, due-done)
		done += more
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("after %d bytes: %w", done, err)
		}
	}
}
