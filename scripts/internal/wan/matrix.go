//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"mesh/scripts/internal/measure"
)

const (
	tcpBuffers   = 64 << 20         // suffice for 1 Gbit/s over 200 ms, for all tools alike
	firstTimeout = 25 * time.Second // ssh makes a dozen round trips before its first byte
)

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

// goodput is what arrived at a receiver, in bits of payload a second.
type goodput struct {
	whole  float64 // from the first byte to the end
	steady float64 // in the second half of that
	via    string  // the transport that mesh --via auto chose
	health health
	err    error
}

func (g goodput) String() string {
	text := fmt.Sprintf("%.1f / %.1f", g.whole/1e6, g.steady/1e6)
	if g.via != "" {
		text += " " + g.via
	}
	switch {
	case g.err != nil:
		return "failed"
	case !g.health.trusted():
		return text + " !"
	}
	return text
}

// grid is the flags of matrix.
type grid struct {
	ccs, rates, rtts, losses, names measure.List
	seconds                         int
}

func newGrid() *grid {
	list := func(words ...string) measure.List { return measure.List{Words: words} }
	g := &grid{
		ccs: list("cubic", "bbr"), rates: list("100mbit", "1gbit"), rtts: list("0", "20", "100", "200"),
		losses: list("0", "0.01", "0.1", "1"), names: list("mesh", "tcp", "quic", "ssh", "nc"),
	}
	g.names.Known = g.names.Words
	return g
}

func (g *grid) addFlags(flags *measure.Flags) {
	flags.Var(&g.rtts, "rtt", "round-trip times, a `LIST` in ms")
	flags.Var(&g.losses, "loss", "losses in each direction, a `LIST` in percent")
	flags.Var(&g.rates, "rate", "rates, a `LIST`")
	flags.Var(&g.ccs, "cc", "congestion controls of the hosts, a `LIST`")
	flags.Var(&g.names, "tools", "a `LIST`; mesh is --via auto, tcp and quic are mesh with that --via")
	flags.IntVar(&g.seconds, "seconds", 6, "measure `N` seconds in each run")
}

func matrix(ctx context.Context, e env) error {
	g := e.grid
	cells, err := g.cells()
	if err != nil {
		return err
	}
	tools := measure.Pick(e.tools(), []string{"mesh", "ssh", "nc"}, e.Dir)
	for _, t := range tools {
		if t.Failed != nil {
			return t.Failed
		}
	}
	g.header(len(cells) * len(tools))
	for _, c := range cells {
		for _, t := range tools {
			got, err := c.measure(ctx, e, t)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			got.err = err
			c.got[t.Name] = got
			measure.Say("%v: %s: %s Mbit/s; %s", c, t.Name, got, got.health)
			if err != nil {
				measure.Say("error: %v", err)
			}
		}
	}
	g.tables(cells, tools)
	if e.Check {
		return checkBars(cells)
	}
	return nil
}

// tools returns the tools of the matrix. Each tool of mesh is followed by the same
// one with the binary of --against, if there is one.
func (e env) tools() (tools []*measure.Tool) {
	for _, name := range e.grid.names.Words {
		switch name {
		case "ssh":
			tools = append(tools, (&measure.SSH{}).Tool(name))
		case "nc":
			tools = append(tools, measure.NC(name))
		default:
			via := strings.Replace(name, "mesh", "auto", 1)
			tools = append(tools, e.Tools(func(m measure.Mesh) *measure.Tool {
				return meshTool(m, name, "--via "+via, "")
			})...)
		}
	}
	return tools
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
	if g.ccs.Words, err = available(g.ccs.Words); err != nil {
		return nil, err
	}
	units := map[string]float64{"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}
	for _, cc := range g.ccs.Words {
		for _, rate := range g.rates.Words {
			bits := number("rate", strings.TrimRight(rate, "kmgbit"), &err) * units[strings.TrimLeft(rate, "0123456789.")]
			if bits == 0 {
				err = fmt.Errorf("--rate: %q is no rate such as 100mbit", rate)
			}
			for _, rtt := range g.rtts.Words {
				for _, loss := range g.losses.Words {
					delay := time.Duration(number("rtt", rtt, &err) * float64(time.Millisecond))
					cells = append(cells, cell{cc, rate, delay, number("loss", loss, &err), bits, map[string]goodput{}})
				}
			}
		}
	}
	if err != nil {
		err = measure.UsageError{Err: err}
	}
	return cells, err
}

// number parses a number of a flag, which must not be negative, or sets err.
func number(flag, text string, err *error) float64 {
	n, wrong := strconv.ParseFloat(text, 64)
	if wrong != nil || !(n >= 0) {
		*err = fmt.Errorf("--%s: %q is no number from 0", flag, text)
	}
	return n
}

// measure runs t once, with new hosts and a new path, so that no state of earlier
// runs matters. The n-th packet has the same fate for every tool.
func (c cell) measure(ctx context.Context, e env, tool *measure.Tool) (g goodput, err error) {
	buffers := func(name string, size int) string {
		return fmt.Sprintf("net.ipv4.%s=4096 %d %d", name, size, tcpBuffers)
	}
	seed := 1000000 + int(c.rtt.Milliseconds()) + int(math.Round(c.loss*1000))
	l, err := openLab(ctx, e, "--delay", (c.rtt / 2).String(), "--rate", c.rate, "--loss", fmt.Sprintf("%g%%", c.loss),
		"--queue", strconv.Itoa(c.queue()), "--seed", strconv.Itoa(seed),
		"--sysctl", "net.ipv4.tcp_congestion_control="+c.cc, "--sysctl", "net.ipv4.tcp_no_metrics_save=1",
		"--sysctl", buffers("tcp_rmem", 131072), "--sysctl", buffers("tcp_wmem", 65536))
	if err != nil {
		return g, err
	}
	defer l.close()
	t, err := l.start(ctx, tool, 0)
	if err != nil {
		return g, err
	}
	err = g.count(ctx, t, time.Duration(e.grid.seconds)*time.Second)
	ctx, cancel := context.WithCancel(ctx)
	cancel() // the ends are stopped in the middle of the stream
	t.stop(ctx)
	if strings.HasSuffix(tool.Name, "mesh") {
		g.via = t.job.Via()
	}
	var unread error
	g.health, unread = l.health()
	return g, errors.Join(err, unread)
}

// count measures what arrives for span from the first byte on. A stall counts too:
// time without a byte is part of span.
func (g *goodput) count(ctx context.Context, t *transfer, span time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, firstTimeout+span)
	defer cancel()
	if err := t.reach(ctx, 1); err != nil {
		return err
	}
	_, times := t.arrived()
	first := t.begin.Add(times[0])
	after := func(d time.Duration) (seconds, bits float64, err error) {
		err = t.await(ctx, func() bool { return time.Since(first) >= d })
		now := time.Since(first)
		total, _ := t.arrived()
		return now.Seconds(), float64(total) * 8, err
	}
	half, halfBits, err := after(span / 2)
	if err != nil {
		return err
	}
	end, bits, err := after(span)
	g.whole, g.steady = bits/end, (bits-halfBits)/(end-half)
	return err
}

func (g *grid) header(runs int) {
	fmt.Printf(`# mesh over a WAN: goodput

- Machine: %s. %d runs of %d s.
- Path: wanlab, MTU 1500; loss in each direction; half the RTT in each direction; a drop-tail queue of one
  bandwidth-delay product, at least 1000 packets. Each run has new hosts. tcp_rmem and tcp_wmem up to 64 MiB, for all.
- Mesh runs as root, which may choose BBR for its own TCP sockets where the kernel has it, whatever congestion control
  the hosts have. mesh is --via auto, with the transport that it chose; tcp and quic are mesh with that --via. ssh uses
  aes128-gcm; nc has one TCP connection and encrypts nothing.
- Figures are Mbit/s of payload at the receiver: the whole run, from the first byte on, / its second half. × compares
  whole runs. The rate counts IP bytes: headers leave 96 %% of it to TCP, 95 %% to QUIC.
- A figure with ! is not to be trusted: the emulator lost packets of its own or was late by more than %d µs.
`, measure.Machine(), runs, g.seconds, maxLate)
}

// tables prints one table for each congestion control and rate.
func (g *grid) tables(cells []cell, tools []*measure.Tool) {
	for _, cc := range g.ccs.Words {
		for _, rate := range g.rates.Words {
			fmt.Printf("\n## Hosts with %s, %s\n", cc, rate)
			pairs := ratios(tools)
			rows := [][]string{{"RTT ms", "loss %"}}
			for _, t := range tools {
				rows[0] = append(rows[0], t.Name)
			}
			for _, pair := range pairs {
				rows[0] = append(rows[0], pair[0]+" × "+strings.TrimSuffix(pair[1], ": "+pair[0]))
			}
			for _, c := range cells {
				if c.cc == cc && c.rate == rate {
					rows = append(rows, c.row(tools, pairs))
				}
			}
			measure.WriteTable(os.Stdout, rows)
		}
	}
}

// ratios returns the pairs of tools whose goodput is compared.
func ratios(tools []*measure.Tool) (pairs [][2]string) {
	ssh := measure.Find(tools, "ssh")
	for _, t := range tools {
		if t.Family == "mesh" && !t.Compared && ssh.Name != "" {
			pairs = append(pairs, [2]string{t.Name, ssh.Name})
		}
		if t.Against != nil {
			pairs = append(pairs, [2]string{t.Name, t.Against.Name})
		}
	}
	return pairs
}

func (c cell) row(tools []*measure.Tool, pairs [][2]string) []string {
	row := []string{fmt.Sprint(c.rtt.Milliseconds()), fmt.Sprintf("%g", c.loss)}
	for _, t := range tools {
		row = append(row, c.got[t.Name].String())
	}
	for _, pair := range pairs {
		row = append(row, measure.Number(c.got[pair[0]].whole/c.got[pair[1]].whole, 2))
	}
	return row
}
