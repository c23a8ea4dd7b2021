//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// settleTime is how long nothing is done after an outage, so that one is
// measured at a time.
const settleTime = 3 * time.Second

// outage is something that happens to the path in mid-transfer.
type outage struct {
	cut  time.Duration // how long nothing passes; 0 for a move
	move string        // how host a moves: what wanlab's rebind wants

	at       int64         // bytes that had come
	healed   time.Duration // when the path was whole again, since the transfer's begin
	recovery time.Duration // from then on
	via      string        // what carried the bytes after that
}

func (o outage) String() string {
	if o.move != "" {
		return "move: " + o.move
	}
	return fmt.Sprintf("cut of %.1f s", o.cut.Seconds())
}

// plan returns cuts from 1 s to longest, and moves of the three kinds, in an
// order that seed gives.
func plan(cuts, moves int, longest time.Duration, seed uint64) []outage {
	var all []outage
	for i := range cuts {
		d := longest
		if cuts > 1 {
			d = time.Second + (longest-time.Second)*time.Duration(i)/time.Duration(cuts-1)
		}
		all = append(all, outage{cut: d})
	}
	for i := range moves {
		all = append(all, outage{move: []string{"ip", "nat", "port"}[i%3]})
	}
	r := rand.New(rand.NewPCG(seed, 0))
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// happen makes o happen to t, and returns when bytes have come again for a
// while.
func (o *outage) happen(ctx context.Context, l *lab, t *transfer) error {
	o.at, _ = t.seen.now()
	if o.cut > 0 {
		if _, err := l.ctl(ctx, "cut"); err != nil {
			return err
		}
		select {
		case <-time.After(o.cut):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if _, err := l.ctl(ctx, "heal"); err != nil {
			return err
		}
	} else if _, err := l.ctl(ctx, "rebind", o.move); err != nil {
		return err
	}
	o.healed = time.Since(t.seen.begin)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		total, last := t.seen.now()
		now := time.Since(t.seen.begin)
		if total == t.size || now > o.healed+settleTime && last > o.healed+time.Second && now-last < time.Second {
			return nil
		}
		select {
		case <-tick.C:
		case <-t.recv.Done:
			return fmt.Errorf("the receiver ended with %d: %w", t.recv.Status(), t.recv.Err)
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", context.Cause(ctx), t.progress())
		}
	}
}

// recoveryAfter returns how long after healed the bytes flowed again: until the
// end of the longest silence between two of times that ends after healed and
// begins within a second of it. After a move that need not be the first, because
// what was on the way still arrives. It is negative if nothing came.
func recoveryAfter(times []time.Duration, healed time.Duration) time.Duration {
	var longest, last time.Duration
	recovery := time.Duration(-1)
	for _, now := range times {
		if last > healed+time.Second {
			break
		}
		if now > healed && now-last > longest {
			longest, recovery = now-last, now-healed
		}
		last = now
	}
	return recovery
}
