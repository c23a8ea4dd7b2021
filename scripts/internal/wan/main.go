//go:build linux

// Wan measures and proves mesh over an emulated wide-area network: scripts/wan
// builds and starts it. The emulator is wanlab, which makes two hosts, a and
// b, out of network namespaces, with a path between them that loses, delays,
// cuts and corrupts; nothing leaves them. The sender is on a, the receiver,
// which waits, on b; a terminal is shared on b and viewed on a. Markdown is on stdout; what goes on while it runs is on
// stderr.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
)

// statusSkipped says that something is missing here: automake's word for it.
const statusSkipped = 77

// part is one thing that can be shown.
type part struct {
	name  string
	needs []string // programs, besides ip and wanlab
	run   func(ctx context.Context, e env, args []string) error
}

var parts = []part{
	{"matrix", []string{"ssh", "ssh-keygen", "sshd", "iperf3"}, matrix},
	{"survive", nil, survive},
	{"blocked", []string{"nft"}, blocked},
	{"corrupt", nil, corrupt},
	{"tty", []string{"bash"}, tty},
}

// env is where things are.
type env struct {
	dir    string // to work in
	wanlab string
	mesh   string // the folder that holds mesh-cat and the others
}

// missing is what a part needs and this machine does not have.
type missing struct{ what string }

func (m missing) Error() string { return m.what + "; skipped" }

func main() {
	if len(os.Args) == 2 && os.Args[1] == "hold" {
		hold()
		return
	}
	if len(os.Args) == 4 && os.Args[1] == "print" {
		if err := printPaced(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, "wan: error: print:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := wan(ctx, os.Args[1:])
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	status := 0
	for _, err := range flatten(err) {
		status = 1
		if _, ok := errors.AsType[missing](err); ok {
			status = statusSkipped
		}
		fmt.Fprintln(os.Stderr, "wan: error:", err)
	}
	os.Exit(status)
}

// flatten returns the errors that errors.Join has put together.
func flatten(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, err := range joined.Unwrap() {
			all = append(all, flatten(err)...)
		}
		return all
	}
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return nil
	}
	return []error{err}
}

// wan runs the part that args name, or all of them without options.
func wan(ctx context.Context, args []string) error {
	const usage = "usage: scripts/wan matrix|survive|blocked|corrupt|tty|all [options]"
	if len(args) == 0 {
		return errors.New(usage)
	}
	dir, err := os.MkdirTemp("", "mesh-wan-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	e := env{dir: dir, mesh: os.Getenv("WAN_MESH")}

	var errs []error
	known := false
	for _, p := range parts {
		if args[0] != p.name && (args[0] != "all" || len(args) > 1) {
			continue
		}
		known = true
		if err := e.find(p.needs); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
			continue
		}
		if err := p.run(ctx, e, args[1:]); err != nil {
			errs = append(errs, prefixed(p.name, err)...)
		}
		if ctx.Err() != nil {
			break
		}
	}
	if !known {
		return errors.New(usage)
	}
	return errors.Join(errs...)
}

func prefixed(name string, err error) []error {
	errs := flatten(err)
	for i := range errs {
		errs[i] = fmt.Errorf("%s: %w", name, errs[i])
	}
	return errs
}

// find looks for the emulator and for programs.
func (e *env) find(programs []string) error {
	if os.Geteuid() != 0 {
		return missing{"needs root, for network namespaces"}
	}
	e.wanlab = os.Getenv("WANLAB")
	if e.wanlab == "" {
		e.wanlab = "wanlab"
	}
	path, err := exec.LookPath(e.wanlab)
	if err != nil {
		return missing{"needs wanlab, the emulator, in PATH or named by $WANLAB"}
	}
	e.wanlab = path
	for _, name := range append([]string{"ip"}, programs...) {
		if _, err := program(name); err != nil {
			return missing{"needs " + name}
		}
	}
	return nil
}

// program is exec.LookPath that also looks where not everyone's PATH leads.
func program(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return exec.LookPath("/usr/sbin/" + name)
	}
	return path, nil
}

// options parses args, none of which may be left.
func options(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return flag.ErrHelp // flags has said what is wrong
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("no argument %q is known", strings.Join(flags.Args(), " "))
	}
	return nil
}

// say tells on stderr what goes on.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "wan: "+format+"\n", args...) }
