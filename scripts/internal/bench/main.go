//go:build unix

// Bench measures mesh-cat and mesh-recv beside ssh, rsync, scp, socat and nc on
// one machine. scripts/bench builds and starts it. The head of its report says how.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"mesh/scripts/internal/measure"
)

const help = `
usage: scripts/bench [FLAG...] [bulk|file|files|small]...
       scripts/bench hub [FLAG...]
       scripts/bench relay [FLAG...]

Measures mesh-cat and mesh-recv beside ssh, rsync, scp, socat and nc, all on this
machine over the loopback interface. Without a task, all four run:

  bulk    a stream of 1 GiB from memory to /dev/null: throughput, CPU time, memory
  file    the same into a new file
  files   a folder of 10,000 files of 4 KiB, through tar and as a folder
  small   1 KiB: the time from the sender's start to the exit of both ends

It prints Markdown tables. With the defaults all tasks take about 5 minutes on two
cores, --against adds about 2, and small alone takes half a minute. Tools that are
not installed are left out. Run it on a machine that does nothing else.

"scripts/bench hub" measures a hub instead: see scripts/bench hub --help.
"scripts/bench relay" measures a link through a relay, by each door, beside one
without, and 10,000 connections at a relay: these are Go benchmarks, and its flags
are those of go test.`

// settings are the flags and the operands.
type settings struct {
	measure.Settings
	size          measure.Size
	files, rounds int
	names         []string // of the tasks; none: all

	tree string // a folder for folders of files
}

func main() {
	measure.Main(bench, map[string]func([]string) error{"feed": feed, "bare": serveBare})
}

// bench runs the tools and prints the report. It returns an error if a tool
// failed or, with --check, if a bar was missed.
func bench(ctx context.Context, args []string) (err error) {
	if len(args) > 0 && args[0] == "hub" {
		return benchHub(ctx, args[1:])
	}
	s := settings{size: 1 << 30}
	families := []string{"mesh", "ssh", "rsync", "scp", "socat", "nc"}
	chosen := measure.List{Words: families, Known: families}
	flags := measure.NewFlags(help)
	s.AllFlags(flags)
	flags.Var(&s.size, "size", "bytes in the tasks bulk and file, as a `SIZE` such as 64MiB")
	flags.IntVar(&s.files, "files", 10000, "`N` files in the task files")
	flags.IntVar(&s.rounds, "rounds", 5, "run each tool `N` times, and 4 × N times in the task small")
	flags.Var(&chosen, "tools", "measure only these tools, a `LIST` with commas")
	if s.names, err = flags.Parse(args, "bulk", "file", "files", "small"); err != nil {
		return err
	}
	err = s.Prepare()
	defer os.RemoveAll(s.Dir)
	if err != nil {
		return err
	}
	// Trees are not on the disk, because ext4 creates files up to 20 times more
	// slowly where many were deleted in the last minutes.
	if s.tree, err = os.MkdirTemp("/dev/shm", "mesh-bench-"); err != nil {
		s.tree = s.Dir
	}
	defer os.RemoveAll(s.tree)
	tasks, err := s.tasks()
	if err != nil {
		return err
	}
	tools := measure.Pick(s.tools(), chosen.Words, s.Dir)
	s.header(tasks, tools)
	for _, k := range append(s.checks(tasks), tasks...) {
		err := measure.TakeTurns(ctx, k.title, k.runs, tools, func(t *measure.Tool) error {
			if t.Only != "" && t.Only != k.name {
				return nil
			}
			return s.run(ctx, t, k)
		})
		if err != nil {
			return err
		}
	}
	err = measure.WriteFailures(os.Stdout, tools)
	report(tasks, tools)
	if s.Check {
		err = errors.Join(err, measure.CheckBars(os.Stdout, bars(tasks, tools)))
	}
	return err
}

// header prints what is measured, where and how.
func (s settings) header(tasks []task, tools []*measure.Tool) {
	fmt.Printf("# mesh beside other tools, on loopback\n\n- Machine: %s.\n", measure.Machine())
	for _, k := range tasks {
		fmt.Printf("- %s: %s, medians of %d runs.\n", k.name, k.title, k.runs)
	}
	fmt.Printf(`- The tools take turns. All data is random. The sender's stdin is a pipe that another process fills from memory;
  with a folder, tar fills it and another tar unpacks the output, unless the tool takes folders itself.
- Files are new, in DIR on %s; folders, sent and received, are on %s.
- The disk is synced before each run; during a run only mesh-recv -o and -C sync.
- Time runs from the first start on the sender's side, with the receiver waiting, to the last exit (ssh, rsync, scp:
  to the client's exit).
- CPU time and memory are those that the kernel counts for each end and its child processes (ssh's receiver: sshd, its
  children and cat); memory is the highest of all runs.
`, measure.FileSystem(s.Dir), measure.FileSystem(s.tree))
	for _, t := range tools {
		job := measure.LocalJob(s.Dir)
		job.Out = "OUT"
		if t.Only == "files" {
			job.Tree = "TREE"
		}
		if e, err := t.Open(job); err == nil && t.Failed == nil {
			text := fmt.Sprintf("- %s: `%s`, `%s`\n", t.Name, strings.Join(e.Recv.Args, " "), strings.Join(e.Send.Args, " "))
			fmt.Print(strings.ReplaceAll(text, s.Dir, "DIR"))
		}
	}
}
