//go:build unix

// Bench measures mesh-cat and mesh-recv beside the tools that a person would
// use instead, all in one run: scripts/bench builds and starts it. It prints
// Markdown on stdout; what goes on while it runs is on stderr.
//
// How it measures: a feeder process keeps random data in memory and writes it
// into a pipe, which is the sender's stdin; the receiver's stdout is
// /dev/null or a fresh file. The feeder and the receiver are ready before the
// clock starts, which is when the sender is started; it stops when both ends
// have exited. A folder comes from tar and goes into tar: then the clock
// starts with the first tar and stops with the last exit.
// The tools take turns, each round from another one on, so that a busy machine
// is busy for all of them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
)

const synopsis = "usage: [BENCH_MIB=1024] [BENCH_FILES=10000] [BENCH_RUNS=5] " +
	"scripts/bench [--check] [bulk|file|files|small …]"

// settings are what a person may choose.
type settings struct {
	mib, files, runs int
	check            bool
	mesh             string   // the folder that holds mesh-cat and mesh-recv, or empty
	tasks            []string // names; none: all
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "feed" {
		exitOn(feed(os.Args[2]))
		return
	}
	var s settings
	flag.Usage = func() { fmt.Fprintln(os.Stderr, synopsis) }
	flag.BoolVar(&s.check, "check", false, "exit with 1 when mesh misses a bar")
	flag.StringVar(&s.mesh, "mesh", "", "the `folder` that holds mesh-cat and mesh-recv")
	flag.Parse()
	s.tasks = flag.Args()
	s.mib = fromEnv("BENCH_MIB", 1024)
	s.files = fromEnv("BENCH_FILES", 10000)
	s.runs = fromEnv("BENCH_RUNS", 5)
	for _, name := range s.tasks {
		if !slices.ContainsFunc(allTasks(s, places{}), func(t task) bool { return t.name == name }) {
			flag.Usage()
			os.Exit(2)
		}
	}

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
// with --check, that a bar was missed.
func bench(ctx context.Context, s settings) error {
	p, err := newPlaces()
	if err != nil {
		return err
	}
	defer p.remove()

	r, err := newRunner(p.disk)
	if err != nil {
		return err
	}
	tasks, err := chosenTasks(s, p)
	if err != nil {
		return err
	}
	tools, missing := available(ctx, p.disk, s.mesh)
	for _, k := range checks(tasks, p) {
		fmt.Fprintf(os.Stderr, "bench: %s\n", k.title)
		for _, t := range tools {
			t.measure(ctx, r, k)
		}
	}
	header(tasks, tools, missing, p)

	for _, k := range tasks {
		for n := range k.runs {
			fmt.Fprintf(os.Stderr, "bench: %s, round %d of %d\n", k.name, n+1, k.runs)
			for i := range tools {
				tools[(n+i)%len(tools)].measure(ctx, r, k)
			}
		}
	}
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}

	floor, err := peakFloor()
	if err != nil {
		return err
	}
	for _, k := range tasks {
		if k.name == "bulk" || k.name == "file" {
			bulkTable(k, tools, floor)
		} else {
			timeTable(k, tools)
		}
	}
	summary(s, tools, floor)
	err = broken(tools)
	if s.check {
		err = errors.Join(err, check(bars(tasks, tools)))
	}
	return err
}
