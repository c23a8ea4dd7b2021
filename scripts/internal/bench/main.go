//go:build unix

// Bench measures mesh-cat and mesh-recv beside ssh, rsync, scp, socat and nc on
// one machine. scripts/bench builds and starts it.
//
// A feeder process keeps random data in memory and writes it into a pipe, which
// is the sender's stdin. The receiver's stdout is /dev/null or a fresh file. The
// clock starts when the sender is started, with the feeder and the receiver
// ready, and stops when both ends have exited. A folder goes through tar at both
// ends, unless the tool takes folders itself; then the clock starts with the
// first tar and stops with the last exit.
//
// The tools take turns, and each round begins with another tool, so that other
// load on the machine is shared by all.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"mesh/scripts/internal/measure"
)

const help = `
usage: scripts/bench [FLAG...] [bulk|file|files|small]...

Measures mesh-cat and mesh-recv beside ssh, rsync, scp, socat and nc, all on this
machine over the loopback interface. Without a task, all four run:

  bulk    a stream of 1 GiB from memory to /dev/null: throughput, CPU time, memory
  file    the same into a new file
  files   a folder of 10,000 files of 4 KiB, through tar and as a folder
  small   1 KiB: the time from the sender's start to the exit of both ends

It prints Markdown tables. With the defaults all tasks take about 5 minutes on two
cores, --against adds about 2, and small alone takes half a minute. Tools that are
not installed are left out. Run it on a machine that does nothing else.`

// settings are the flags.
type settings struct {
	measure.Settings
	size   measure.Size
	files  int
	rounds int
	tools  []string
	tasks  []string // names; none: all
}

func main() {
	measure.Main(bench, map[string]measure.Helper{"feed": feed})
}

func parse(args []string) (settings, error) {
	s := settings{size: 1 << 30, files: 10000, rounds: 5, tools: slices.Clone(families)}
	flags := measure.NewFlags(help)
	s.AllFlags(flags)
	flags.Var(&s.size, "size", "bytes in the tasks bulk and file, as a `SIZE` such as 64MiB")
	flags.Count(&s.files, "files", "`N` files in the task files")
	flags.Count(&s.rounds, "rounds", "run each tool `N` times, and 4 × N times in the task small")
	flags.Names(&s.tools, families, "tools", "measure only these tools, a `LIST` with commas")
	var err error
	if s.tasks, err = flags.Parse(args); err != nil {
		return s, err
	}
	for _, name := range s.tasks {
		if !slices.ContainsFunc(allTasks(s, places{}), func(k task) bool { return k.name == name }) {
			return s, measure.UsageError{Err: fmt.Errorf("unknown task %q; --help lists the tasks", name)}
		}
	}
	return s, nil
}

// bench runs the tools and prints the report. It returns an error if a tool
// failed or, with --check, if a bar was missed.
func bench(ctx context.Context, args []string) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	p, err := newPlaces()
	if err != nil {
		return err
	}
	defer p.remove()
	binaries, err := s.Binaries(p.disk)
	if err != nil {
		return err
	}
	r, err := newRunner(p.disk)
	if err != nil {
		return err
	}
	tasks, err := chosenTasks(s, p)
	if err != nil {
		return err
	}
	tools, missing := available(ctx, p.disk, binaries, s.tools)
	for _, k := range checks(tasks, p) {
		measure.Say("%s", k.title)
		for _, t := range tools {
			t.measure(ctx, r, k)
		}
	}
	header(tasks, tools, missing, p)
	for _, k := range tasks {
		for n := range k.runs {
			measure.Say("%s, round %d of %d", k.name, n+1, k.runs)
			for i := range tools {
				tools[(n+i)%len(tools)].measure(ctx, r, k)
			}
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := report(s, tasks, tools); err != nil {
		return err
	}
	for _, t := range tools {
		if t.failed != nil {
			err = errors.Join(err, fmt.Errorf("%s could not be measured", t.Name))
		}
	}
	if s.Check {
		err = errors.Join(err, measure.CheckBars(os.Stdout, bars(tasks, tools)))
	}
	return err
}
