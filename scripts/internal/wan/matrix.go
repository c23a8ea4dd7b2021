//go:build linux

package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"mesh/scripts/internal/measure"
)

// tcpBuffers suffice for 1 Gbit/s over 200 ms, for all tools alike.
const tcpBuffers = 64 << 20

// cell is one path, with one congestion control on both hosts.
type cell struct {
	cc   string
	rate string
	rtt  time.Duration
	loss float64 // in percent

	bits float64            // the rate, in bits a second
	got  map[string]goodput // by tool
}

func (c cell) String() string {
	return fmt.Sprintf("%s %s %d ms %g %%", c.cc, c.rate, c.rtt.Milliseconds(), c.loss)
}

// queue is the length of the bottleneck's queue, in packets: one bandwidth-delay
// product, and at least what Linux gives to a device.
func (c cell) queue() int { return max(1000, int(c.bits*c.rtt.Seconds()/12000)) }

// grid is all cells and tools of a matrix.
type grid struct {
	ccs, rates, names []string
	rtts, losses      []float64 // ms, percent
	span              time.Duration
	seed              int
	tools             []tool
}

func matrix(flags *measure.Flags) func(context.Context, env) error {
	g := &grid{
		ccs: []string{"cubic", "bbr"}, rates: []string{"100mbit", "1gbit"},
		names: toolNames,
		rtts:  []float64{0, 20, 100, 200}, losses: []float64{0, 0.01, 0.1, 1},
	}
	seconds := 6
	flags.Numbers(&g.rtts, "rtt", "round-trip times, a `LIST` in ms")
	flags.Numbers(&g.losses, "loss", "losses in each direction, a `LIST` in percent")
	flags.Names(&g.rates, nil, "rate", "rates, a `LIST`")
	flags.Names(&g.ccs, nil, "cc", "congestion controls of the hosts, a `LIST`")
	flags.Names(&g.names, toolNames, "tools", "a `LIST`; mesh is --via auto, tcp and quic are mesh with that --via")
	flags.IntVar(&g.seed, "seed", 1, "`N` selects the losses, which are the same for each tool of a cell")
	flags.Count(&seconds, "seconds", "measure `N` seconds in each run")
	quick := flags.Bool("quick", false, "--rtt 100 --loss 0,1 --cc cubic --seconds 4, where these are not given")
	return func(ctx context.Context, e env) error {
		if *quick {
			given := map[string]bool{}
			flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
			for name, value := range map[string]string{"rtt": "100", "loss": "0,1", "cc": "cubic", "seconds": "4"} {
				if !given[name] {
					flags.Set(name, value)
				}
			}
		}
		g.span = time.Duration(seconds) * time.Second
		return g.run(ctx, e)
	}
}

func (g *grid) run(ctx context.Context, e env) error {
	machine := measure.Machine()
	cells, err := g.cells()
	if err != nil {
		return err
	}
	if err := g.pick(ctx, e); err != nil {
		return err
	}
	g.header(machine, len(cells)*len(g.tools))
	for i := range cells {
		for _, t := range g.tools {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			got := cells[i].measure(ctx, e, t, g)
			cells[i].got[t.name] = got
			measure.Say("%v: %s: %s", cells[i], t.name, got)
		}
	}
	g.tables(cells)
	if e.Check {
		return g.checkBars(cells)
	}
	return nil
}

// available returns the congestion controls in ccs that the hosts can use, and
// reports the others. A network namespace may only use those that the machine
// allows to everybody.
func available(ccs []string) (allowed []string, err error) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
	if err != nil {
		return nil, err
	}
	for _, cc := range ccs {
		if slices.Contains(strings.Fields(string(text)), cc) {
			allowed = append(allowed, cc)
			continue
		}
		measure.Say("%s is left out: it is not in net.ipv4.tcp_allowed_congestion_control of this machine", cc)
		measure.Say("hint: modprobe tcp_%s; sysctl -w net.ipv4.tcp_allowed_congestion_control='%s %s'", cc, strings.TrimSpace(string(text)), cc)
	}
	if allowed == nil {
		return nil, measure.Missing{What: "needs one of the congestion controls " + strings.Join(ccs, ", ")}
	}
	return allowed, nil
}

// cells returns the combinations of paths.
func (g *grid) cells() (cells []cell, err error) {
	if g.ccs, err = available(g.ccs); err != nil {
		return nil, err
	}
	units := map[string]float64{"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}
	for _, cc := range g.ccs {
		for _, rate := range g.rates {
			n := strings.TrimRight(rate, "kmgbit")
			bits, err := strconv.ParseFloat(n, 64)
			bits *= units[rate[len(n):]]
			if err != nil || bits <= 0 {
				return nil, measure.UsageError{Err: fmt.Errorf("--rate: %q is no rate such as 100mbit", rate)}
			}
			for _, rtt := range g.rtts {
				for _, loss := range g.losses {
					d := time.Duration(rtt * float64(time.Millisecond))
					cells = append(cells, cell{cc, rate, d, loss, bits, map[string]goodput{}})
				}
			}
		}
	}
	return cells, nil
}

// measure runs t once, with new hosts and a new path, so that no state of earlier
// runs matters. The n-th packet has the same fate for every tool.
func (c cell) measure(ctx context.Context, e env, t tool, s *grid) (g goodput) {
	dir, err := e.runDir()
	if err != nil {
		return goodput{err: err}
	}
	defer os.RemoveAll(dir)
	buffers := func(name string, size int) string {
		return fmt.Sprintf("net.ipv4.%s=4096 %d %d", name, size, tcpBuffers)
	}
	l, err := openLab(ctx, e, "--delay", (c.rtt / 2).String(), "--rate", c.rate, "--loss", fmt.Sprintf("%g%%", c.loss),
		"--queue", strconv.Itoa(c.queue()), "--seed", strconv.Itoa(1000000*s.seed+int(c.rtt.Milliseconds())+int(math.Round(c.loss*1000))),
		"--sysctl", "net.ipv4.tcp_congestion_control="+c.cc, "--sysctl", "net.ipv4.tcp_no_metrics_save=1",
		"--sysctl", buffers("tcp_rmem", 131072), "--sysctl", buffers("tcp_wmem", 65536))
	if err != nil {
		return goodput{err: err}
	}
	defer l.close()
	if g, err = t.measure(ctx, l, dir, s.span); err != nil {
		g.err = err
		return g
	}
	g.health, g.err = l.health(ctx)
	return g
}

func (g *grid) header(machine string, runs int) {
	fmt.Printf(`# mesh over a WAN: goodput

- Machine: %s. %d runs of %v.
- Path: wanlab, MTU 1500; loss in each direction; half the RTT in each direction; a drop-tail queue of one
  bandwidth-delay product, at least 1000 packets. Each run has new hosts. tcp_rmem and tcp_wmem up to 64 MiB, for all.
- Mesh runs as root, which may choose BBR for its own TCP sockets where the kernel has it, whatever congestion control
  the hosts have. mesh is --via auto, with the transport that it chose; tcp and quic are mesh with that --via. ssh uses
  aes128-gcm; nc has one TCP connection and encrypts nothing.
- Figures are Mbit/s of payload at the receiver: the whole run, from the first byte on, / its second half. × compares
  whole runs. The rate counts IP bytes: headers leave 96 %% of it to TCP, 95 %% to QUIC.
- A figure with ! is not to be trusted: the emulator lost packets of its own or was late by more than %d µs.
`, machine, runs, g.span, maxLate)
}

// tables prints one table for each congestion control and rate.
func (g *grid) tables(cells []cell) {
	for _, cc := range g.ccs {
		for _, rate := range g.rates {
			fmt.Printf("\n## Hosts with %s, %s\n", cc, rate)
			rows := [][]string{{"RTT ms", "loss %"}}
			for _, t := range g.tools {
				rows[0] = append(rows[0], t.name)
			}
			for _, r := range g.ratios() {
				rows[0] = append(rows[0], r[0]+" × "+strings.TrimSuffix(r[1], ": "+r[0]))
			}
			for _, c := range cells {
				if c.cc == cc && c.rate == rate {
					rows = append(rows, c.row(g))
				}
			}
			measure.WriteTable(os.Stdout, rows)
		}
	}
}

// ratios returns the pairs of tools whose goodput is compared.
func (g *grid) ratios() (pairs [][2]string) {
	has := func(name string) bool {
		return slices.ContainsFunc(g.tools, func(t tool) bool { return t.name == name })
	}
	for _, t := range g.tools {
		if t.mesh && has("ssh") {
			pairs = append(pairs, [2]string{t.name, "ssh"})
		}
		if t.against != "" {
			pairs = append(pairs, [2]string{t.name, t.against})
		}
	}
	return pairs
}

func (c cell) row(g *grid) []string {
	row := []string{fmt.Sprint(c.rtt.Milliseconds()), fmt.Sprintf("%g", c.loss)}
	for _, t := range g.tools {
		got := c.got[t.name]
		text := fmt.Sprintf("%.1f / %.1f", got.whole/1e6, got.steady/1e6)
		if got.via != "" {
			text += " " + got.via
		}
		switch {
		case got.err != nil:
			text = "failed"
		case !got.trusted():
			text += " !"
		}
		row = append(row, text)
	}
	for _, pair := range g.ratios() {
		row = append(row, measure.Number(c.got[pair[0]].whole/c.got[pair[1]].whole, 2))
	}
	return row
}
