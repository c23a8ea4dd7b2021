//go:build unix

// Echo measures how long a key takes from the keyboard to the screen, through
// mesh-tty, ssh, mosh and a terminal alone. scripts/echo builds and starts it.
//
// Each client runs on a terminal of its own. A command at the other end shows
// every key in the upper left corner. The clock runs from the write of the key
// until a terminal emulator that reads the client's output has it there. In a
// flood the command also prints lines below the corner as fast as it can, and its
// speed is measured. The tools take turns.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"mesh/scripts/internal/measure"
)

const help = `
usage: scripts/echo [FLAG...]

Measures how long a key takes from the keyboard to the screen, through a shared
terminal (mesh-tty), ssh, mosh and a terminal alone, over the loopback interface:

  idle      nothing else happens
  flood     the command prints as fast as it can; its speed is measured too
  slow link over 100 kB/s (QUIC only): the time from the key that ends a flood
            until the screen shows its effect

It prints a Markdown table. With the defaults it takes about 10 minutes; --against
adds about 4. Tools that are not installed are reported as not measured. Run it on
a machine that does nothing else.`

// families are the names for --tools.
var families = []string{"alone", "mesh", "ssh", "mosh"}

// settings are the flags.
type settings struct {
	measure.Settings
	keys, rounds int
	tools        []string
}

// The bars of --check: what mesh-tty may add to a terminal alone when idle, what a
// key may take in a flood, what ending a flood over a slow link may take, in
// milliseconds; and the share of the flood's speed without viewers.
const (
	maxAddedP50 = 1
	maxAddedP99 = 10
	maxFloodP99 = 50
	maxSlowP99  = 300
	minSpeed    = 0.8
)

func main() {
	measure.Main(run, map[string]measure.Helper{"child": child})
}

func run(ctx context.Context, args []string) error {
	s := settings{keys: 500, rounds: 3, tools: slices.Clone(families)}
	flags := measure.NewFlags(help)
	s.AllFlags(flags)
	flags.Count(&s.keys, "keys", "press `N` keys in each round")
	flags.Count(&s.rounds, "rounds", "run each tool `N` times")
	flags.Names(&s.tools, families, "tools", "measure only these tools, a `LIST` with commas")
	if err := flags.ParseAll(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mesh-echo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binaries, err := s.Binaries(dir)
	if err != nil {
		return err
	}
	machine := measure.Machine()
	tools := s.pick(binaries)
	for round := range s.rounds {
		for n := range tools {
			t := tools[(n+round)%len(tools)]
			measure.Say("round %d of %d, %s", round+1, s.rounds, t.name)
			if t.failed == nil {
				t.failed = t.measure(ctx, s.keys, dir)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	report(s, machine, tools)
	if s.Check {
		return measure.CheckBars(os.Stdout, bars(tools))
	}
	return nil
}

// columns are the figures of the report.
var columns = []measure.Column[*tool]{
	{Head: "idle p50", Digits: 2, Of: func(t *tool) float64 { return t.idle.Quantile(0.5) }},
	{Head: "p99", Digits: 2, Of: func(t *tool) float64 { return t.idle.Quantile(0.99) }},
	{Head: "max", Digits: 2, Of: func(t *tool) float64 { return t.idle.Quantile(1) }},
	{Head: "in a flood p50", Digits: 2, Of: func(t *tool) float64 { return t.flooded.Quantile(0.5) }},
	{Head: "p99", Digits: 2, Of: func(t *tool) float64 { return t.flooded.Quantile(0.99) }},
	{Head: "max", Digits: 2, Of: func(t *tool) float64 { return t.flooded.Quantile(1) }},
	{Head: "the flood, MB/s", Digits: 1, Of: func(t *tool) float64 { return t.speed.Median() / 1e6 }},
	{Head: "ends a flood at 100 kB/s p50", Digits: 2, Of: func(t *tool) float64 { return t.slow.Quantile(0.5) }},
	{Head: "max", Digits: 2, Of: func(t *tool) float64 { return t.slow.Quantile(1) }},
}

func report(s settings, machine string, tools []*tool) {
	fmt.Printf("# Keys through a shared terminal, on loopback\n\n- Machine: %s.\n- %d keys for each figure, in %d rounds; milliseconds.\n",
		machine, s.keys*s.rounds, s.rounds)
	var rows []measure.Row[*tool]
	for _, t := range tools {
		if t.failed != nil {
			fmt.Printf("- Not measured: %s: %v.\n", t.name, t.failed)
			continue
		}
		row := measure.Row[*tool]{Name: t.name, Result: t}
		if t.against != nil {
			row.Against = &t.against
		}
		rows = append(rows, row)
	}
	measure.WriteReport(os.Stdout, "", columns, rows)
}

// bars returns the bars of mesh-tty.
func bars(tools []*tool) (list []measure.Bar) {
	alone, unseen := find(tools, nameAlone), find(tools, nameUnseen)
	for _, t := range tools {
		if t.family != "mesh" || t.compared || t == unseen {
			continue
		}
		bar := func(what string, got float64, op string, limit float64) {
			list = append(list, measure.Bar{What: t.name + ": " + what, Got: got, Op: op, Limit: limit})
		}
		bar("p50 added, ms", t.idle.Quantile(0.5)-alone.idle.Quantile(0.5), "≤", maxAddedP50)
		bar("p99 added, ms", t.idle.Quantile(0.99)-alone.idle.Quantile(0.99), "≤", maxAddedP99)
		bar("p99 in a flood, ms", t.flooded.Quantile(0.99), "≤", maxFloodP99)
		if t.openSlow != nil {
			bar("p99 to end a flood over a slow link, ms", t.slow.Quantile(0.99), "≤", maxSlowP99)
		}
		bar("speed of the flood ÷ without viewers", t.speed.Median()/unseen.speed.Median(), "≥", minSpeed)
	}
	return list
}

// find returns the tool of that name, or one without figures.
func find(tools []*tool, name string) *tool {
	for _, t := range tools {
		if t.name == name {
			return t
		}
	}
	return &tool{}
}
