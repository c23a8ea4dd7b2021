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

const corruptLimit = 3 * time.Minute // for one pipe

func corrupt(ctx context.Context, e env) error {
	fmt.Printf(`# mesh over a WAN: corrupted packets

- One pipe of %s each; 0.01 %% of the packets have one bit flipped, in each direction; 200 Mbit/s, RTT 20 ms.
- Payload: behind correct checksums, so that the kernel delivers it. Anywhere: checksums detect nearly all flips, which
  become losses. With QUIC a wrong packet is a loss too. With TCP a wrong TLS record ends the connection: the dialer
  dials again, and the pipe continues after the last acknowledged byte; the number of connections shows how often.
`, e.size.String())
	rows := [][]string{{"via", "flipped bit in", "packets corrupted", "TCP connections", "statuses", "s", "outcome"}}
	var errs []error
	for _, via := range []string{"tcp", "quic"} {
		for where, app := range []string{"0", "1"} {
			row, err := corruptPipe(ctx, e, via, "--corrupt-app", app)
			row = append([]string{via, []string{"anywhere", "payload"}[where]}, row...)
			measure.Say("%s", strings.Join(row, ", "))
			rows, errs = append(rows, row), append(errs, err)
		}
	}
	measure.WriteTable(os.Stdout, rows)
	return errors.Join(errs...)
}

// corruptPipe sends one pipe over a path that flips bits, and describes the
// outcome. A pipe that failed with a status other than 0 is not an error, because
// it has told the truth; wrong bytes are one.
func corruptPipe(ctx context.Context, e env, via string, options ...string) (row []string, err error) {
	row = []string{"–", "–", "–", "–", "not started"}
	ctx, cancel := context.WithTimeoutCause(ctx, corruptLimit, fmt.Errorf("not done in %v", corruptLimit))
	defer cancel()
	l, err := openLab(ctx, e, append(options, "--corrupt", "0.01%", "--rate", "200mbit", "--delay", "10ms", "--seed", "1")...)
	if err != nil {
		return row, err
	}
	defer l.close()
	t, err := l.start(ctx, meshTool(e.mesh(), via, "--via "+via, ""), e.size)
	if err != nil {
		return row, err
	}
	failed := t.endMesh(ctx)
	health, err := l.health()
	outcome := "exact"
	if _, wrong := errors.AsType[wrongBytes](failed); wrong {
		outcome, err = "WRONG", errors.Join(failed, err)
	} else if failed != nil {
		outcome = "failed, without a wrong byte: " + strings.ReplaceAll(failed.Error(), "\n", " ")
	}
	return []string{
		strconv.Itoa(health.corrupted), strconv.Itoa(health.links), fmt.Sprintf("%d, %d", t.send.Status(), t.recv.Status()),
		fmt.Sprintf("%.1f", t.wall().Seconds()), outcome,
	}, err
}
