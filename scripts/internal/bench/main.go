//go:build unix

// Bench measures mesh-cat and mesh-recv beside the tools that a person would
// use instead, all in one run: scripts/bench builds and starts it. It prints
// Markdown on stdout; what goes on while it runs is on stderr.
//
// How it measures: a feeder process keeps random data in memory and writes it
// into a pipe, which is the sender's stdin; the receiver's stdout is
// /dev/null. The feeder and the receiver are ready before the clock starts,
// which is when the sender is started; it stops when both ends have exited.
// The tools take turns, so that a busy machine is busy for all of them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

const (
	checkBytes   = 1 << 20 // sent by each tool once, before anything is timed
	smallBytes   = 1 << 10
	smallPerBulk = 4 // small messages are cheap and noisy: more runs
)

// settings are what a person may choose.
type settings struct {
	mib, runs int
	check     bool
	mesh      string // the folder that holds mesh-cat and mesh-recv, or empty
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "feed" {
		exitOn(feed(os.Args[2]))
		return
	}
	var s settings
	flag.BoolVar(&s.check, "check", false, "exit with 1 when mesh misses a bar")
	flag.StringVar(&s.mesh, "mesh", "", "the `folder` that holds mesh-cat and mesh-recv")
	flag.Parse()
	if flag.NArg() > 0 {
		exitOn(fmt.Errorf("no argument %q is known", flag.Arg(0)))
	}
	s.mib = fromEnv("BENCH_MIB", 1024)
	s.runs = fromEnv("BENCH_RUNS", 5)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exitOn(bench(ctx, s))
}

// fromEnv returns the positive number that the environment variable name
// holds, or value when it is not set.
func fromEnv(name string, value int) int {
	text := os.Getenv(name)
	if text == "" {
		return value
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		exitOn(fmt.Errorf("%s=%q: want a number from 1", name, text))
	}
	return n
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		os.Exit(1)
	}
}

// bench runs every tool and prints the report. Its error is what broke or,
// with --check, which bar was missed.
func bench(ctx context.Context, s settings) error {
	dir, err := os.MkdirTemp("", "mesh-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	r, err := newRunner(dir)
	if err != nil {
		return err
	}
	tools, missing := available(ctx, dir, s.mesh)
	for _, t := range tools {
		if err := r.verify(ctx, t); err != nil {
			t.fail("check with 1 MiB", err)
		}
	}
	header(s, tools, missing, dir)

	for n := range s.runs {
		fmt.Fprintf(os.Stderr, "bench: bulk, round %d of %d\n", n+1, s.runs)
		limit := 30*time.Second + time.Duration(s.mib)*200*time.Millisecond
		for _, t := range tools {
			t.measure(ctx, r, limit, int64(s.mib)<<20, &t.bulk)
		}
	}
	fmt.Fprintf(os.Stderr, "bench: small messages, %d rounds\n", s.runs*smallPerBulk)
	for range s.runs * smallPerBulk {
		for _, t := range tools {
			t.measure(ctx, r, 30*time.Second, smallBytes, &t.small)
		}
	}
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}

	floor, err := peakFloor()
	if err != nil {
		return err
	}
	bulkTable(s, tools, floor)
	smallTable(tools)
	return errors.Join(broken(tools), bars(s, tools))
}
