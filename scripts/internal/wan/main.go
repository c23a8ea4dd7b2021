//go:build linux

// Wan measures and tests mesh over an emulated wide-area network. scripts/wan
// builds and starts it.
//
// The emulator is wanlab. It makes two hosts, a and b, out of network namespaces,
// with a path between them that delays, loses, cuts and corrupts packets; nothing
// leaves the two hosts. The sender and the viewer of a terminal are on a, the
// receiver and the sharer, which listen, on b.
package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"time"

	"mesh/scripts/internal/measure"
)

const help = `
usage: scripts/wan PART [FLAG...]

Measures and tests mesh over an emulated wide-area network, in these parts:

  matrix     goodput of mesh, its two transports, ssh and plain TCP (nc), for each
             round trip, loss and rate, on hosts with CUBIC and BBR (45
             minutes; with --rtt 100 --loss 0,1 --cc cubic --seconds 4: 2 minutes)
  firstbyte  when the first byte of a short message arrives over 100 ms (half a
             minute)
  survive    one pipe through cuts and changes of address, with loss, reordering,
             duplication and an MTU of 1280 (8 minutes)
  blocked    UDP or TCP is blocked by a firewall (half a minute)
  corrupt    wrong bits, also behind correct checksums: no wrong byte comes out
             (3 minutes)
  tty        a shared terminal through a cut and changes of address; the end of a
             flood over 100 kB/s (2 minutes)

scripts/wan PART --help lists the flags of a part. It needs root, ip, nstat and the
emulator wanlab; matrix also ssh, sshd and OpenBSD's nc; blocked also nft. If
something is missing, it says so and exits with 77.

matrix compares congestion controls. It leaves out those that the machine does not
allow, and prints how to allow them.`

// part is one thing that wan measures or tests.
type part struct {
	name     string
	run      func(context.Context, env) error
	does     string // the first sentence of its help
	needs    string // programs, besides those that all parts need
	compares bool   // takes --against and --check
	defaults env    // of its flags; it has no flag whose default is zero
}

func parts() []part {
	return []part{
		{"matrix", matrix, "Measures goodput for each combination of path and tool.", "ssh ssh-keygen sshd nc", true, env{grid: newGrid()}},
		{
			"firstbyte", firstByte, "Measures when the first byte of a short message arrives, for each --via.", "", true,
			env{rtt: 100 * time.Millisecond, rounds: 11},
		},
		{
			"survive", survive, "Sends one pipe through cuts and changes of address.", "", false,
			env{size: 2 << 30, cuts: 20, moves: 10, cut: 30 * time.Second, via: "auto"},
		},
		{
			"blocked", blocked, "Measures what it costs when a firewall blocks UDP or TCP.", "nft", false,
			env{rtt: 20 * time.Millisecond, rounds: 5},
		},
		{"corrupt", corrupt, "Sends pipes over a path that flips bits.", "", false, env{size: 256 << 20}},
		{
			"tty", tty, "Views a shared terminal through a cut and changes of address.", "bash", false,
			env{size: 5 << 20, cut: 20 * time.Second, rounds: 5, via: "auto"},
		},
	}
}

// env is what the parts work with: the flags and what follows from them.
type env struct {
	measure.Settings
	wanlab string

	size                measure.Size
	rounds, cuts, moves int
	rtt, cut            time.Duration
	via                 string
	grid                *grid
}

// addFlags adds the flags whose defaults are set.
func (e *env) addFlags(flags *measure.Flags) {
	flags.StringVar(&e.wanlab, "wanlab", "wanlab", "the emulator, a `PATH` or a name")
	if e.size != 0 {
		flags.Var(&e.size, "size", "`SIZE` of the data, such as 64MiB")
	}
	if e.rounds != 0 {
		flags.IntVar(&e.rounds, "rounds", e.rounds, "measure everything `N` times")
	}
	if e.cuts != 0 {
		flags.IntVar(&e.cuts, "cuts", e.cuts, "cut the path `N` times")
		flags.IntVar(&e.moves, "moves", e.moves, "change host a's address `N` times: ip, nat, port in turn")
	}
	if e.cut != 0 {
		flags.DurationVar(&e.cut, "cut", e.cut, "`TIME` of the cut, or of the longest cut if there are several")
	}
	if e.rtt != 0 {
		flags.DurationVar(&e.rtt, "rtt", e.rtt, "round-trip `TIME`")
	}
	if e.via != "" {
		flags.StringVar(&e.via, "via", e.via, "`TRANSPORT`, as for mesh-cat")
	}
	if e.grid != nil {
		e.grid.addFlags(flags)
	}
}

// mesh is the binary under test.
func (e env) mesh() measure.Mesh { return e.Binaries[0] }

func main() {
	measure.Main(wan, map[string]func([]string) error{"print": printPaced})
}

// wan runs the part that args name.
func wan(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return measure.UsageError{Err: errors.New("which part? --help lists the parts")}
	}
	for _, p := range parts() {
		if p.name == args[0] {
			return p.start(ctx, args[1:])
		}
	}
	_, err := measure.NewFlags(help).Parse(args)
	return err
}

// start parses the flags of p and runs it in a folder of its own.
func (p part) start(ctx context.Context, args []string) error {
	e := p.defaults
	flags := measure.NewFlags("usage: scripts/wan " + p.name + " [FLAG...]\n\n" + p.does)
	if p.compares {
		e.AllFlags(flags)
	} else {
		e.MeshFlag(flags)
	}
	e.addFlags(flags)
	if _, err := flags.Parse(args); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return measure.Missing{What: "needs root, for network namespaces"}
	}
	var err error
	if e.wanlab, err = exec.LookPath(e.wanlab); err != nil {
		return measure.Missing{What: "needs the emulator wanlab, in PATH or named by --wanlab"}
	}
	if err := measure.Need(strings.Fields("ip nstat " + p.needs)...); err != nil {
		return err
	}
	err = e.Prepare()
	defer os.RemoveAll(e.Dir)
	if err != nil {
		return err
	}
	return p.run(ctx, e)
}
