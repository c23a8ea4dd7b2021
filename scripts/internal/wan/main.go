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
	"fmt"
	"os"
	"os/exec"
	"strings"

	"mesh/scripts/internal/measure"
)

const help = `
usage: scripts/wan PART [FLAG...]

Measures and tests mesh over an emulated wide-area network, in these parts:

  matrix     goodput of mesh, its two transports, ssh and plain TCP (nc), for each
             round trip, loss and rate, on hosts with CUBIC and BBR (45
             minutes; with --quick 2 minutes)
  firstbyte  when the first byte of a short message arrives over 100 ms (half a
             minute)
  survive    one pipe through cuts and changes of address, with loss, reordering,
             duplication and an MTU of 1280 (8 minutes)
  blocked    UDP or TCP is blocked by a firewall (half a minute)
  corrupt    wrong bits, also behind correct checksums: no wrong byte comes out
             (3 minutes)
  tty        a shared terminal through a cut and changes of address; the end of a
             flood over 100 kB/s (2 minutes)
  all        all of these, with the flags --mesh and --wanlab only

scripts/wan PART --help lists the flags of a part. It needs root, ip and the
emulator wanlab; matrix also ssh, sshd and OpenBSD's nc; blocked also nft. If
something is missing, it says so and exits with 77.

matrix compares congestion controls. It leaves out those that the machine does not
allow, and prints how to allow them.`

// part is one thing that wan measures or tests.
type part struct {
	name     string
	does     string   // the first sentence of its help
	needs    []string // programs, besides ip and wanlab
	compares bool     // takes --against and --check
	// prepare adds the flags of the part. The function that it returns runs the
	// part when they have been parsed.
	prepare func(*measure.Flags) func(context.Context, env) error
}

func parts() []part {
	return []part{
		{"matrix", "Measures goodput for each combination of path and tool.", []string{"ssh", "ssh-keygen", "sshd", "nc"}, true, matrix},
		{"firstbyte", "Measures when the first byte of a short message arrives, for each --via.", nil, true, firstByte},
		{"survive", "Sends one pipe through cuts and changes of address.", nil, false, survive},
		{"blocked", "Measures what it costs when a firewall blocks UDP or TCP.", []string{"nft"}, false, blocked},
		{"corrupt", "Sends pipes over a path that flips bits.", nil, false, corrupt},
		{"tty", "Views a shared terminal through a cut and changes of address.", []string{"bash"}, false, tty},
	}
}

// env is what all parts work with.
type env struct {
	measure.Settings
	dir      string // for temporary files
	wanlab   string
	binaries []measure.Mesh // the one under test, then that of --against
}

// mesh is the binary under test.
func (e env) mesh() measure.Mesh { return e.binaries[0] }

func main() {
	measure.Main(wan, map[string]measure.Helper{"hold": hold, "print": printPaced})
}

// wan runs the part that args name, or all.
func wan(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return measure.UsageError{Err: errors.New("which part? --help lists the parts")}
	}
	name, args := args[0], args[1:]
	if strings.HasPrefix(name, "-") || name == "help" {
		_, err := measure.NewFlags(help).Parse([]string{name})
		return err
	}
	var errs []error
	known := false
	for _, p := range parts() {
		if name != p.name && name != "all" || ctx.Err() != nil {
			continue
		}
		known = true
		for _, err := range measure.Errors(p.run(ctx, args)) {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	if !known {
		return measure.UsageError{Err: fmt.Errorf("unknown part %q; --help lists the parts", name)}
	}
	return errors.Join(errs...)
}

// run parses the flags of p and runs it in a folder of its own.
func (p part) run(ctx context.Context, args []string) error {
	var e env
	flags := measure.NewFlags("usage: scripts/wan " + p.name + " [FLAG...]\n\n" + p.does)
	if p.compares {
		e.AllFlags(flags)
	} else {
		e.MeshFlag(flags)
	}
	flags.StringVar(&e.wanlab, "wanlab", "wanlab", "the emulator, a `PATH` or a name")
	run := p.prepare(flags)
	if err := flags.ParseAll(args); err != nil {
		return err
	}
	if err := e.find(p.needs); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mesh-wan-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	e.dir = dir
	if e.binaries, err = e.Binaries(dir); err != nil {
		return err
	}
	return run(ctx, e)
}

// find looks for the emulator and for other programs.
func (e *env) find(programs []string) (err error) {
	if os.Geteuid() != 0 {
		return measure.Missing{What: "needs root, for network namespaces"}
	}
	if e.wanlab, err = exec.LookPath(e.wanlab); err != nil {
		return measure.Missing{What: "needs the emulator wanlab, in PATH or named by --wanlab"}
	}
	return measure.Need(append([]string{"ip"}, programs...)...)
}

// runDir makes a folder for one run.
func (e env) runDir() (string, error) { return os.MkdirTemp(e.dir, "run-") }
