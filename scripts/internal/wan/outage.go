//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"mesh/scripts/internal/measure"
)

const (
	settleTime = 3 * time.Second // a pause after each outage, so that they are measured one by one
	failGrace  = 5 * time.Second // for one end to exit when the other has failed
)

// outage is something that happens to the path during a transfer.
type outage struct {
	cut  time.Duration // how long no packet passes; 0 for a move
	move string        // how host a changes its address: an argument of wanlab's rebind

	at       int64         // bytes that had arrived
	healed   time.Duration // when packets passed again, since the transfer's begin
	recovery time.Duration // from then until bytes arrived again
}

func (o outage) String() string {
	if o.move != "" {
		return "move: " + o.move
	}
	return fmt.Sprintf("cut of %.1f s", o.cut.Seconds())
}

// plan returns cuts from 1 s to longest, and moves of the three kinds, in an order
// that is the same in every run.
func plan(cuts, moves int, longest time.Duration) (all []outage) {
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
	r := rand.New(rand.NewPCG(1, 0))
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// endure makes the outages happen one after another, spread evenly over the bytes
// of t, ends t, and returns those that have happened.
func (t *transfer) endure(ctx context.Context, l *lab, all []outage, end func(context.Context) error) (done []outage, err error) {
	for i := range all {
		if err = t.reach(ctx, t.size*int64(i+1)/int64(len(all)+2)); err != nil {
			break
		}
		o := &all[i]
		if err = o.happen(ctx, l, t); err != nil {
			err = fmt.Errorf("outage %d, %v at byte %d: %w", i+1, o, o.at, err)
			break
		}
		done = all[:i+1]
		measure.Say("outage %d of %d: %v at %d MiB, after %.0f s: recovery %.2f s", i+1, len(all), o, o.at>>20, o.healed.Seconds(), o.recovery.Seconds())
	}
	if err == nil {
		return done, end(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, failGrace)
	defer cancel()
	return done, fmt.Errorf("%w; then: %v", err, end(ctx))
}

// happen makes o happen to t, and returns when bytes have arrived again for a
// while.
func (o *outage) happen(ctx context.Context, l *lab, t *transfer) error {
	o.at, _ = t.arrived()
	if o.cut > 0 {
		if err := l.ctl("cut"); err != nil {
			return err
		}
		select {
		case <-time.After(o.cut):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := l.ctl("heal"); err != nil {
			return err
		}
	} else if err := l.ctl("rebind", o.move); err != nil {
		return err
	}
	o.healed = time.Since(t.begin)
	err := t.await(ctx, func() bool {
		total, times := t.arrived()
		now, last := time.Since(t.begin), times[len(times)-1] // reach has waited for the first
		return total == t.size || now > o.healed+settleTime && last > o.healed+time.Second && now-last < time.Second
	})
	_, times := t.arrived()
	o.recovery = recoveryAfter(times, o.healed)
	return err
}

// recoveryAfter returns how long after healed bytes flowed again, given the times
// at which bytes arrived: it is the end of the longest silence that ends after
// healed and begins within a second of it. After a move that need not be the first
// silence, because packets in flight still arrive. It is negative if none arrived.
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
