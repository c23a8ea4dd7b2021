//go:build unix

// Echo measures how long a key takes from the keyboard to the screen, through
// mesh-tty, ssh, mosh and a terminal alone. scripts/echo builds and starts it.
//
// Each client runs on a terminal of its own. A command at the other end shows
// every key in the upper left corner. The clock runs from the write of the key
// until a terminal emulator that reads the client's output has it there.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"mesh/scripts/internal/measure"
)

const help = `
usage: scripts/echo [FLAG...]

Measures how long a key takes from the keyboard to the screen, through a shared
terminal (mesh-tty), ssh, mosh and a terminal alone, over the loopback interface:

  idle      nothing else happens
  flood     the command prints as fast as it can; its speed is measured too

It prints a Markdown table. With the defaults it takes about 8 minutes; --against
adds about 3. Tools that are not installed are reported as not measured. Run it on
a machine that does nothing else. How soon Ctrl-C ends a flood over a slow link is
measured by scripts/wan tty.`

// settings are the flags.
type settings struct {
	measure.Settings
	keys, rounds int
}

// The bars of --check: what mesh-tty may add to a terminal alone when idle and what
// a key may take in a flood, in milliseconds; and the share of the flood's speed
// without viewers.
const (
	maxAddedP50 = 1
	maxAddedP99 = 10
	maxFloodP99 = 50
	minSpeed    = 0.8
)

func main() {
	measure.Main(run, map[string]func([]string) error{"child": child})
}

func run(ctx context.Context, args []string) error {
	var s settings
	families := []string{"alone", "mesh", "ssh", "mosh"}
	chosen := measure.List{Words: families, Known: families}
	flags := measure.NewFlags(help)
	s.AllFlags(flags)
	flags.IntVar(&s.keys, "keys", 500, "press `N` keys in each round")
	flags.IntVar(&s.rounds, "rounds", 3, "run each tool `N` times")
	flags.Var(&chosen, "tools", "measure only these tools, a `LIST` with commas")
	if _, err := flags.Parse(args); err != nil {
		return err
	}
	err := s.Prepare()
	defer os.RemoveAll(s.Dir)
	if err != nil {
		return err
	}
	fmt.Printf("# Keys through a shared terminal, on loopback\n\n- Machine: %s.\n- %d keys for each figure, in %d rounds; milliseconds.\n",
		measure.Machine(), s.keys*s.rounds, s.rounds)
	tools := measure.Pick(s.tools(), chosen.Words, s.Dir)
	err = measure.TakeTurns(ctx, "keys", s.rounds, tools, func(t *measure.Tool) error {
		if err := s.visit(ctx, t, idle); err != nil {
			return err
		}
		return s.visit(ctx, t, flood)
	})
	if err != nil {
		return err
	}
	err = measure.WriteFailures(os.Stdout, tools)
	report(tools)
	if s.Check {
		err = errors.Join(err, measure.CheckBars(os.Stdout, bars(tools)))
	}
	return err
}

func report(tools []*measure.Tool) {
	measure.WriteReport(os.Stdout, "", []measure.Column{
		measure.Quantile("idle p50", 2, idle, 0.5, 1),
		measure.Quantile("p99", 2, idle, 0.99, 1),
		measure.Quantile("max", 2, idle, 1, 1),
		measure.Quantile("in a flood p50", 2, flood, 0.5, 1),
		measure.Quantile("p99", 2, flood, 0.99, 1),
		measure.Quantile("max", 2, flood, 1, 1),
		measure.Quantile("the flood, MB/s", 1, speed, 0.5, 1e-6),
	}, tools)
}

// bars returns the bars of mesh-tty.
func bars(tools []*measure.Tool) (list []measure.Bar) {
	alone, unseen := measure.Find(tools, nameAlone), measure.Find(tools, nameUnseen)
	for _, t := range tools {
		if t.Family != "mesh" || t.Compared || t == unseen {
			continue
		}
		bar := func(what string, got float64, op string, limit float64) {
			list = append(list, measure.Bar{What: t.Name + ": " + what, Got: got, Op: op, Limit: limit})
		}
		bar("p50 added, ms", t.Quantile(idle, 0.5)-alone.Quantile(idle, 0.5), "≤", maxAddedP50)
		bar("p99 added, ms", t.Quantile(idle, 0.99)-alone.Quantile(idle, 0.99), "≤", maxAddedP99)
		bar("p99 in a flood, ms", t.Quantile(flood, 0.99), "≤", maxFloodP99)
		bar("speed of the flood ÷ without viewers", t.Median(speed)/unseen.Median(speed), "≥", minSpeed)
	}
	return list
}
