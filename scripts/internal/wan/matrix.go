//go:build linux

package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"mesh/scripts/internal/host"
)

// tcpBuffers are large enough for 1 Gbit/s over 200 ms, for all tools alike.
const tcpBuffers = 64 << 20

// cell is one path, under one congestion control of both hosts.
type cell struct {
	cc   string
	rate string
	rtt  time.Duration
	loss float64 // in percent

	bits float64 // the rate, in bits a second
	got  map[string]goodput
}

func (c cell) String() string {
	return fmt.Sprintf("%s %s %d ms %g %%", c.cc, c.rate, c.rtt.Milliseconds(), c.loss)
}

// queue is the length of the bottleneck's, in packets: one bandwidth-delay
// product, and at least what Linux gives to a device.
func (c cell) queue() int { return max(1000, int(c.bits*c.rtt.Seconds()/12000)) }

// grid is what a person may choose.
type grid struct {
	ccs, rates, tools []string
	rtts, losses      []float64 // ms, percent
	span              time.Duration
	seed              int
	check             bool
}

func matrix(ctx context.Context, e env, args []string) error {
	flags := flag.NewFlagSet("scripts/wan matrix", flag.ContinueOnError)
	rtt := flags.String("rtt", "0,20,100,200", "round-trip times in `ms`")
	loss := flags.String("loss", "0,0.01,0.1,1", "losses each way in `percent`")
	rate := flags.String("rate", "100mbit,1gbit", "`rates`")
	cc := flags.String("cc", "cubic,bbr", "congestion `controls` of the hosts")
	names := flags.String("tools", "mesh,tcp,quic,ssh,iperf3", "`tools`: mesh is --via auto, tcp and quic are mesh too")
	seed := flags.Int("seed", 1, "of the losses, which are the same for each tool of a cell")
	seconds := flags.Int("seconds", 6, "`seconds` for each run")
	quick := flags.Bool("quick", false, "100 ms, 0 and 1 % loss, cubic alone, 4 s, unless told otherwise")
	check := flags.Bool("check", false, "list the bars that are missed, and end with 1 if those of mesh (auto) are")
	if err := options(flags, args); err != nil {
		return err
	}
	if *quick {
		given := map[string]bool{}
		flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
		for name, value := range map[string]string{"rtt": "100", "loss": "0,1", "cc": "cubic", "seconds": "4"} {
			if !given[name] {
				flags.Set(name, value)
			}
		}
	}
	g := grid{
		ccs: strings.Split(*cc, ","), rates: strings.Split(*rate, ","), tools: strings.Split(*names, ","),
		span: time.Duration(*seconds) * time.Second, seed: *seed, check: *check,
	}
	var err error
	if g.rtts, err = numbers(*rtt); err != nil {
		return err
	}
	if g.losses, err = numbers(*loss); err != nil {
		return err
	}
	if g.ccs, err = controls(g.ccs); err != nil {
		return err
	}
	tools, err := g.pick(ctx, e)
	if err != nil {
		return err
	}
	cells, err := g.cells()
	if err != nil {
		return err
	}

	g.header(len(cells) * len(tools))
	for i := range cells {
		for _, t := range tools {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			got := cells[i].measure(ctx, e, t, g)
			cells[i].got[t.name] = got
			say("%v: %s: %s", cells[i], t.name, got)
		}
	}
	g.tables(cells)
	return g.bars(cells)
}

// numbers reads a list.
func numbers(text string) (list []float64, err error) {
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseFloat(word, 64)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is no list of numbers from 0", text)
		}
		list = append(list, n)
	}
	return list, nil
}

// controls returns those of ccs that the hosts may have, and says which are
// left out. A network namespace gets only what its machine allows to all.
func controls(ccs []string) (allowed []string, err error) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
	if err != nil {
		return nil, err
	}
	for _, cc := range ccs {
		if slices.Contains(strings.Fields(string(text)), cc) {
			allowed = append(allowed, cc)
			continue
		}
		say("%s is left out: it is not in net.ipv4.tcp_allowed_congestion_control of this machine", cc)
		say("hint: modprobe tcp_%s; sysctl -w net.ipv4.tcp_allowed_congestion_control='%s %s'", cc, strings.TrimSpace(string(text)), cc)
	}
	if allowed == nil {
		return nil, missing{"needs one of the congestion controls " + strings.Join(ccs, ", ")}
	}
	return allowed, nil
}

// pick returns the tools that are asked for, in that order.
func (g grid) pick(ctx context.Context, e env) (tools []tool, err error) {
	for _, name := range g.tools {
		var t tool
		switch name {
		case "mesh":
			t = meshTool(e, name)
		case "tcp", "quic":
			t = meshTool(e, name, "--via", name)
		case "ssh":
			if t, err = sshTool(ctx, e.dir); err != nil {
				return nil, err
			}
		case "iperf3":
			t = iperfTool()
		default:
			return nil, fmt.Errorf("no tool %q is known", name)
		}
		tools = append(tools, t)
	}
	return tools, nil
}

func (g grid) cells() (cells []cell, err error) {
	units := map[string]float64{"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}
	for _, cc := range g.ccs {
		for _, rate := range g.rates {
			n := strings.TrimRight(rate, "kmgbit")
			bits, err := strconv.ParseFloat(n, 64)
			bits *= units[rate[len(n):]]
			if err != nil || bits <= 0 {
				return nil, fmt.Errorf("%q is no rate like 100mbit", rate)
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

// measure gives t hosts and a path of its own, which know nothing of the runs
// before; the n-th packet has the same fate for every tool.
func (c cell) measure(ctx context.Context, e env, t tool, s grid) (g goodput) {
	dir, err := os.MkdirTemp(e.dir, "run-")
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
	g, err = t.measure(ctx, l, dir, s.span)
	if err != nil {
		g.err = err
		return g
	}
	g.health, g.err = l.health(ctx)
	return g
}

func (g grid) header(runs int) {
	fmt.Printf("# mesh over a WAN: goodput\n\n")
	fmt.Printf("- Machine: %s, %d cores, %s, %s; load %s before the start. %d runs of %v.\n",
		host.CPUModel(), runtime.NumCPU(), host.Kernel(), runtime.Version(), host.Load(), runs, g.span)
	fmt.Printf("- Path: wanlab, MTU 1500; loss each way; RTT half each way; a drop-tail queue of one bandwidth-delay product,\n" +
		"  at least 1000 packets. Each run has hosts of its own. tcp_rmem and tcp_wmem up to 64 MiB, for all.\n")
	fmt.Printf("- Mesh runs as root, who may choose BBR for its own TCP sockets where the kernel has it, whatever the hosts'\n" +
		"  control is. mesh is `--via auto`, with what it took; tcp and quic are mesh with that `--via`. ssh has\n" +
		"  aes128-gcm; iperf3 has one TCP stream and encrypts nothing.\n")
	fmt.Printf("- Figures are Mbit/s of payload that came out at the receiver: whole run, from the first byte on, / its second\n" +
		"  half. × ssh compares whole runs. The rate counts IP bytes: headers leave 96 %% of it to TCP, 95 %% to QUIC.\n")
	fmt.Printf("- A figure with ! is not to be trusted: the emulator lost packets of its own or was late by more than %d µs.\n", maxLate)
	fmt.Printf("- Runs are in %s.\n", filepath.Base(os.Args[0])+" "+strings.Join(os.Args[1:], " "))
}
