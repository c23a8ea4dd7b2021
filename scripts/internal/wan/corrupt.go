//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"mesh/scripts/internal/measure"
)

// corruption is the flags of corrupt.
type corruption struct {
	size         measure.Size
	chance, rate string
	rtt, limit   time.Duration
}

// noisyPipe is one pipe over a path that flips bits.
type noisyPipe struct {
	via     string
	payload bool // flips bits behind correct checksums, so that mesh receives them

	health health
	t      *transfer // nil if it could not be started
	err    error
}

func corrupt(flags *measure.Flags) func(context.Context, env) error {
	c := &corruption{size: 256 << 20}
	flags.Var(&c.size, "bytes", "`SIZE` of each pipe, such as 64MiB")
	flags.StringVar(&c.chance, "corrupt", "0.01%", "`SHARE` of packets with one flipped bit, in each direction")
	flags.StringVar(&c.rate, "rate", "200mbit", "`RATE` of the path")
	flags.DurationVar(&c.rtt, "rtt", 20*time.Millisecond, "round-trip `TIME`")
	flags.DurationVar(&c.limit, "limit", 3*time.Minute, "give up a pipe after this `TIME`")
	return c.run
}

func (c *corruption) run(ctx context.Context, e env) error {
	fmt.Printf(`# mesh over a WAN: corrupted packets

- One pipe of %s each; %s of the packets have one bit flipped, in each direction; %s, RTT %v.
- Payload: behind correct checksums, so that the kernel delivers it. Anywhere: checksums detect nearly all flips, which
  become losses. With QUIC a wrong packet is a loss too. With TCP a wrong TLS record ends the connection: the dialer
  dials again, and the pipe continues after the last acknowledged byte; the number of connections shows how often.
`, c.size.String(), c.chance, c.rate, c.rtt)
	rows := [][]string{{"via", "flipped bit in", "packets corrupted", "TCP connections", "statuses", "s", "outcome"}}
	var errs []error
	var notes []string
	for _, via := range []string{"tcp", "quic"} {
		for _, payload := range []bool{false, true} {
			p := noisyPipe{via: via, payload: payload}
			p.run(ctx, e, c)
			row, err := p.row()
			measure.Say("%s", strings.Join(row, ", "))
			if p.err != nil {
				notes = append(notes, fmt.Sprintf("- %s, %s: %v", row[0], row[1], p.err))
			}
			rows = append(rows, row)
			errs = append(errs, err)
		}
	}
	measure.WriteTable(os.Stdout, rows)
	if len(notes) > 0 {
		fmt.Printf("\n%s\n", strings.Join(notes, "\n"))
	}
	return errors.Join(errs...)
}

func (p *noisyPipe) run(ctx context.Context, e env, c *corruption) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.limit, fmt.Errorf("not done in %v", c.limit))
	defer cancel()
	path := []string{"--corrupt", c.chance, "--rate", c.rate, "--delay", (c.rtt / 2).String(), "--seed", "1"}
	if p.payload {
		path = append(path, "--corrupt-app", "1")
	}
	l, err := openLab(ctx, e, path...)
	if err != nil {
		p.err = err
		return
	}
	defer l.close()
	dir, err := e.runDir()
	if err != nil {
		p.err = err
		return
	}
	if p.t, p.err = startTransfer(ctx, e.mesh(), l.job(dir), c.size, "--via "+p.via, ""); p.err != nil {
		return
	}
	p.err = p.t.end(ctx)
	p.health, err = l.health(context.WithoutCancel(ctx)) // which has a limit of its own
	p.err = errors.Join(p.err, err)
}

// row describes the outcome. The error is for wrong bytes, and for a pipe that
// could not be started; a pipe that failed with a status other than 0 is not an
// error, because it has told the truth.
func (p *noisyPipe) row() ([]string, error) {
	where, statuses, took, outcome := "anywhere", "–", "–", "exact"
	if p.payload {
		where = "payload"
	}
	_, wrong := errors.AsType[wrongBytes](p.err)
	if p.t != nil {
		statuses = fmt.Sprintf("%d, %d", p.t.send.Status(), p.t.recv.Status())
		took = fmt.Sprintf("%.1f", p.t.wall().Seconds())
	}
	switch {
	case wrong:
		outcome = "WRONG"
	case p.err != nil:
		outcome = "failed, without a wrong byte"
	}
	row := []string{p.via, where, strconv.Itoa(p.health.corrupted), strconv.Itoa(p.health.links), statuses, took, outcome}
	if wrong || p.t == nil {
		return row, p.err
	}
	return row, nil
}
