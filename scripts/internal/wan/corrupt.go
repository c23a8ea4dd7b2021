//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"mesh/scripts/internal/table"
)

// spoiling is one pipe over a path that flips bits.
type spoiling struct {
	via string
	app bool // behind right checksums, so that mesh sees them

	corrupted int // packets
	links     int // TCP connections that were tried
	t         *transfer
	err       error
}

func corrupt(ctx context.Context, e env, args []string) error {
	flags := flag.NewFlagSet("scripts/wan corrupt", flag.ContinueOnError)
	size := int64(256 << 20)
	flags.Func("bytes", "`size` of each pipe (default 256MiB)", func(text string) (err error) {
		size, err = parseSize(text)
		return err
	})
	chance := flags.String("corrupt", "0.01%", "`share` of packets in which one bit is flipped, each way")
	rate := flags.String("rate", "200mbit", "`rate` of the path")
	rtt := flags.Duration("rtt", 20*time.Millisecond, "round-trip `time`")
	limit := flags.Duration("limit", 3*time.Minute, "give up a pipe after this `time`")
	if err := options(flags, args); err != nil {
		return err
	}

	fmt.Printf("# mesh over a WAN: corrupted packets\n\n")
	fmt.Printf("- One pipe of %d MiB each; %s of the packets have one bit flipped, each way; %s, RTT %v.\n", size>>20, *chance, *rate, *rtt)
	fmt.Printf("- Payload: behind checksums that are right, so that the kernel takes it. Anywhere: checksums find nearly all of it,\n" +
		"  and it is a loss. Over QUIC a wrong packet is a loss, too. Over TCP a wrong TLS record ends the connection: the\n" +
		"  caller dials again, and the pipe goes on from the last byte that was acknowledged; the connections tell how often.\n")
	rows := [][]string{{"via", "flipped bit in", "packets corrupted", "TCP connections", "statuses", "s", "outcome"}}
	var errs []error
	var told []string
	for _, via := range []string{"tcp", "quic"} {
		for _, app := range []bool{false, true} {
			s := spoiling{via: via, app: app}
			s.run(ctx, e, size, *limit, "--corrupt", *chance, "--rate", *rate, "--delay", (*rtt / 2).String())
			row, err := s.row()
			say("%s", strings.Join(row, ", "))
			if s.err != nil {
				told = append(told, fmt.Sprintf("- %s, %s: %v", row[0], row[1], s.err))
			}
			rows = append(rows, row)
			errs = append(errs, err)
		}
	}
	table.Write(os.Stdout, rows)
	if len(told) > 0 {
		fmt.Printf("\n%s\n", strings.Join(told, "\n"))
	}
	return errors.Join(errs...)
}

func (s *spoiling) run(ctx context.Context, e env, size int64, limit time.Duration, path ...string) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done in %v", limit))
	defer cancel()
	if s.app {
		path = append(path, "--corrupt-app", "1")
	}
	l, err := openLab(ctx, e, append(path, "--seed", "1")...)
	if err != nil {
		s.err = err
		return
	}
	defer l.close()
	dir, err := os.MkdirTemp(e.dir, "run-")
	if err != nil {
		s.err = err
		return
	}
	m := meshEnds{e: e, l: l, dir: dir, send: []string{"--via", s.via}}
	if s.t, s.err = startTransfer(ctx, m, size); s.err != nil {
		return
	}
	s.err = s.t.end(ctx)

	ctx = context.WithoutCancel(ctx) // what follows has a limit of its own
	var stats struct{ AB, BA struct{ Corrupted int } }
	text, err := l.ctl(ctx, "stats")
	if err == nil {
		err = json.Unmarshal([]byte(text), &stats)
	}
	s.corrupted = stats.AB.Corrupted + stats.BA.Corrupted
	snmp, err2 := l.output(ctx, "a", "cat", "/proc/net/snmp")
	s.links = counter(snmp, "Tcp:", "ActiveOpens")
	s.err = errors.Join(s.err, err, err2)
}

// row says what came of it. Only wrong bytes, and a pipe that could not be
// tried, are errors: one that ends with another status than 0 has told the
// truth.
func (s *spoiling) row() ([]string, error) {
	where, statuses, took, outcome := "anywhere", "–", "–", "exact"
	if s.app {
		where = "payload"
	}
	_, wrong := errors.AsType[wrongBytes](s.err)
	if s.t != nil {
		statuses = fmt.Sprintf("%d, %d", s.t.send.Status(), s.t.recv.Status())
		took = fmt.Sprintf("%.1f", s.t.wall().Seconds())
	}
	switch {
	case wrong:
		outcome = "WRONG"
	case s.err != nil:
		outcome = "not done, nothing wrong came out"
	}
	row := []string{s.via, where, strconv.Itoa(s.corrupted), strconv.Itoa(s.links), statuses, took, outcome}
	if wrong || s.t == nil {
		return row, s.err
	}
	return row, nil
}
