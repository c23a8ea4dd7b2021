//go:build linux

// Night plays some nights of backups: many peers with jobs of their own send to two inboxes
// that they find by the names at a hub, while links are cut, disks are full, processes are
// killed and clocks are moved. A model says what must come of it. scripts/night builds and
// starts it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const help = `usage: scripts/night [FLAG...]

Plays three nights of 40 peers with 5 jobs each, which send to two inboxes, through cut
links, full disks, killed processes, a hub that restarts and clocks that are moved.
Afterwards it compares the state of each job, each notification and each file with a
model, and prints each difference. It needs Linux, root and ip (iproute2).
`

func main() {
	if len(os.Args) == 4 && os.Args[1] == recorderWord {
		fatal(record(os.Args[2], os.Args[3]))
		return
	}
	o := options{}
	short := flag.Bool("short", false, "two nights of 6 peers with 3 jobs each")
	flag.IntVar(&o.peers, "peers", 40, "how many `peers`")
	flag.IntVar(&o.jobs, "jobs", 5, "how many jobs each peer has, up to 5")
	flag.IntVar(&o.nights, "nights", 3, "how many nights")
	flag.IntVar(&o.atOnce, "at-once", 8, "how many peers send at a time")
	flag.Uint64Var(&o.seed, "seed", 1, "the seed of the plan")
	flag.StringVar(&o.source, "source", "", "the `folder` of the project")
	flag.StringVar(&o.mesh, "mesh", "", "a `binary`; without it, one is built whose clock can be moved")
	flag.StringVar(&o.keep, "keep", "", "leave the state of all nodes in this new `folder`")
	flag.Usage = func() {
		fmt.Fprint(os.Stderr, help, "\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if *short {
		o.peers, o.jobs, o.nights, o.atOnce = 6, 3, 2, 6
	}
	if flag.NArg() > 0 || o.peers < 1 || o.peers > 200 || o.jobs < 1 || o.jobs > len(kinds) || o.nights < 1 || o.atOnce < 1 {
		flag.Usage()
		os.Exit(2)
	}
	if os.Geteuid() != 0 {
		skip("it needs root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		skip("no ip, of iproute2")
	}
	differences, err := play(o)
	fatal(err)
	if differences > 0 {
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	peers, jobs, nights, atOnce int
	seed                        uint64
	source, mesh, keep          string
}

func play(o options) (differences int, err error) {
	dir := o.keep
	if dir == "" {
		if dir, err = os.MkdirTemp("/tmp", "night."); err != nil { // a short name: there are sockets in it
			return 0, err
		}
		defer os.RemoveAll(dir)
	} else if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, err
	}
	begun := time.Now()
	if o.mesh == "" {
		o.mesh = filepath.Join(dir, "mesh")
		if err := buildMoved(o.source, dir, o.mesh); err != nil {
			return 0, err
		}
	}
	moves, err := isMoved(o.mesh)
	if err != nil {
		return 0, err
	}
	if !moves {
		say("the clock of %s cannot be moved", o.mesh)
	}
	l, err := newLab(dir, o.mesh, moves)
	if err != nil {
		return 0, err
	}
	defer l.end()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		l.end()
		os.Exit(130)
	}()
	say("seed %d: %d nights of %d peers with %d jobs each", o.seed, o.nights, o.peers, o.jobs)
	w, err := newWorld(l, o)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := w.play(); err != nil {
		return 0, err
	}
	took := time.Since(began)
	found := w.compare()
	for _, d := range found {
		fmt.Println("difference:", d)
	}
	w.figures(began.Sub(begun), took)
	say("%d differences", len(found))
	return len(found), nil
}

func say(format string, args ...any) { fmt.Printf("scripts/night: "+format+"\n", args...) }

func skip(why string) {
	fmt.Fprintln(os.Stderr, "scripts/night: skipped:", why)
	os.Exit(77)
}

func fatal(err error) {
	if err == nil {
		return
	}
	if s, ok := errors.AsType[*lacking](err); ok {
		skip(s.what)
	}
	fmt.Fprintln(os.Stderr, "scripts/night: error:", err)
	os.Exit(1)
}

// lacking is what this machine does not have.
type lacking struct{ what string }

func (l *lacking) Error() string { return l.what }
