//go:build unix

// Echo measures how long a key takes from the keyboard to the screen, through
// mesh-tty, ssh, mosh (where it is installed) and a terminal alone, all in one run: scripts/echo builds and
// starts it. It prints Markdown on stdout; what goes on is on stderr.
//
// How it measures: the client runs on a terminal of its own; a command at the other
// end shows each key in the upper left corner. The clock runs from the write of the
// key to when a terminal emulator that reads the client's output has it there. In a
// flood the command prints lines below that as fast as it can; how fast is measured
// too. The tools take turns.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"mesh/scripts/internal/host"
)

// settings are what a person may choose.
type settings struct {
	mesh   string // the folder that holds mesh-tty
	keys   int    // in each round
	rounds int
	check  bool
}

// The bars that --check holds mesh-tty to: what it may add to a terminal alone
// when nothing else happens, and what a key may take in all in a flood, or until
// it has ended a flood over a slow link.
const (
	maxAddedP50 = time.Millisecond
	maxAddedP99 = 10 * time.Millisecond
	maxFloodP99 = 50 * time.Millisecond
	maxSlowP99  = 300 * time.Millisecond
	minSpeed    = 0.8 // of the flood with nobody there
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		exitOn(child(os.Args[2:]))
		return
	}
	var s settings
	flag.StringVar(&s.mesh, "mesh", "", "the `folder` that holds mesh-tty")
	flag.IntVar(&s.keys, "keys", 500, "press `N` keys in each round")
	flag.IntVar(&s.rounds, "rounds", 3, "measure everything `N` times")
	flag.BoolVar(&s.check, "check", false, "exit with 1 when mesh-tty misses a bar")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exitOn(run(ctx, s))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "echo: error:", err)
		os.Exit(1)
	}
}

// figures are what one tool came to.
type figures struct {
	name                string
	idle, flooded, slow []time.Duration
	speed               []float64 // of the flood, in bytes a second
	why                 error     // it could not be measured
}

func run(ctx context.Context, s settings) error {
	dir, err := os.MkdirTemp("", "echo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tools := []*tool{
		{name: "terminal alone", open: alone},
		{name: "headless, nobody views", open: unseen(s.mesh), speedOnly: true},
		{name: "mesh-tty", open: meshTTY(s.mesh, "quic", false), slow: meshTTY(s.mesh, "quic", true)},
		{name: "mesh-tty --via tcp", open: meshTTY(s.mesh, "tcp", false)},
		{name: "ssh", open: sshTTY},
		{name: "mosh", open: moshTTY},
	}
	results := make([]*figures, len(tools))
	for i, t := range tools {
		results[i] = &figures{name: t.name}
	}
	load := host.Load()
	for round := range s.rounds {
		for n := range tools {
			i := (n + round) % len(tools)
			fmt.Fprintf(os.Stderr, "echo: round %d of %d, %s\n", round+1, s.rounds, tools[i].name)
			if results[i].why == nil {
				results[i].why = tools[i].measure(ctx, s, dir, results[i])
			}
			if ctx.Err() != nil {
				return errors.New("interrupted")
			}
		}
	}
	report(s, load, results)
	if s.check {
		return check(results)
	}
	return nil
}

func report(s settings, load string, results []*figures) {
	fmt.Printf("%s, %s, load %s before; %d keys each, in %d rounds; milliseconds.\n\n", host.CPUModel(), host.Kernel(), load, s.keys*s.rounds, s.rounds)
	fmt.Println("| | idle p50 | p99 | max | in a flood p50 | p99 | max | the flood, MB/s | ends a flood at 100 kB/s p50 | max |")
	fmt.Println("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, f := range results {
		if f.why != nil {
			fmt.Printf("| %s | not measured: %v |\n", f.name, f.why)
			continue
		}
		speed := "–"
		if len(f.speed) > 0 {
			speed = fmt.Sprintf("%.1f", median(f.speed)/1e6)
		}
		fmt.Printf("| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", f.name,
			ms(f.idle, 0.5), ms(f.idle, 0.99), ms(f.idle, 1), ms(f.flooded, 0.5), ms(f.flooded, 0.99), ms(f.flooded, 1), speed, ms(f.slow, 0.5), ms(f.slow, 1))
	}
}

func ms(d []time.Duration, q float64) string {
	if len(d) == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", quantile(d, q).Seconds()*1000)
}

func quantile(d []time.Duration, q float64) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[min(int(q*float64(len(d))), len(d)-1)]
}

func median(f []float64) float64 {
	f = slices.Sorted(slices.Values(f))
	return f[len(f)/2]
}

// check returns an error for each bar that is missed.
func check(results []*figures) error {
	var errs []error
	base, unseen := results[0], results[1]
	for _, f := range results[2:4] {
		if f.why != nil {
			errs = append(errs, f.why)
			continue
		}
		bar := func(what string, got, most time.Duration) {
			if got > most {
				errs = append(errs, fmt.Errorf("%s: %s is %s, at most %s", f.name, what, got, most))
			}
		}
		bar("p50 added", quantile(f.idle, 0.5)-quantile(base.idle, 0.5), maxAddedP50)
		bar("p99 added", quantile(f.idle, 0.99)-quantile(base.idle, 0.99), maxAddedP99)
		bar("p99 in a flood", quantile(f.flooded, 0.99), maxFloodP99)
		if len(f.slow) > 0 {
			bar("the end of a flood over a slow link", quantile(f.slow, 0.99), maxSlowP99)
		}
		if got := median(f.speed) / median(unseen.speed); got < minSpeed {
			errs = append(errs, fmt.Errorf("%s: the command prints at %.2f of its speed without viewers, at least %.2f", f.name, got, minSpeed))
		}
	}
	return errors.Join(errs...)
}
