// Package measure is the library of the measuring programs bench, echo and wan:
// the mesh binaries under test and the tools beside them, processes with their
// CPU time and memory, flags, statistics, bars and Markdown tables.
package measure

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// Exit statuses of a measuring program.
const (
	statusFailed  = 1  // an error, or a bar that is missed
	statusUsage   = 2  // wrong arguments
	statusSkipped = 77 // this machine lacks something; automake uses the same number
)

// Missing is an error that names something this machine lacks, so that the
// measurement is skipped.
type Missing struct{ What string }

func (m Missing) Error() string { return m.What + "; skipped" }

// UsageError is an error in the arguments.
type UsageError struct{ Err error }

func (e UsageError) Error() string { return e.Err.Error() }

// Main runs a measuring program, reports its errors on stderr and exits. The
// context of run ends with SIGINT, SIGTERM and SIGHUP. If the first argument
// names a helper, that runs instead: a second role of the same program.
func Main(run func(ctx context.Context, args []string) error, helpers map[string]func(args []string) error) {
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin") // sshd is there, but not in every user's PATH
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	args := os.Args[1:]
	if len(args) > 0 && helpers[args[0]] != nil {
		stop()
		os.Exit(status(helpers[args[0]](args[1:])))
	}
	err := run(ctx, args)
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	stop()
	os.Exit(status(err))
}

// status prints err, which may have a line for each of several errors, and returns
// the exit status. A request for help is no error.
func status(err error) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	for line := range strings.Lines(err.Error()) {
		Say("error: %s", strings.TrimSpace(line))
	}
	if _, ok := errors.AsType[UsageError](err); ok {
		return statusUsage
	}
	if _, ok := errors.AsType[Missing](err); ok {
		return statusSkipped
	}
	return statusFailed
}

// Self is the path of this program.
func Self() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

// Say prints a line of progress on stderr, after the program's name.
func Say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, filepath.Base(os.Args[0])+": "+format+"\n", args...)
}

// Random returns the bytes that the measurements send, the same in every run.
func Random() io.Reader { return rand.NewChaCha8([32]byte{'m', 'e', 's', 'h'}) }

// Machine describes this machine and how busy it is. The load is the average of
// the last minute: if it is not near 0, other programs share in the figures.
func Machine() string {
	return runtime.Version() + " on " + shell(`echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)," \
		"$(getconf _NPROCESSORS_ONLN) cores, $(uname -srm); load $(cut -d ' ' -f 1 /proc/loadavg) before the start"`)
}

// FileSystem returns the type of the file system that holds dir.
func FileSystem(dir string) string { return shell(`stat -f -c %T "$0" || echo unknown`, dir) }

func shell(script string, args ...string) string {
	text, _ := exec.Command("sh", append([]string{"-c", script}, args...)...).Output()
	return strings.TrimSpace(string(text))
}
