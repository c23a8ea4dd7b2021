// Package measure is the library of the measuring programs bench, echo and wan:
// the mesh binaries under test and ssh as a peer, processes with their CPU time
// and memory, flags, statistics, bars and Markdown tables.
package measure

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
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

// Helper is a second role of the same program: it starts itself with the
// helper's name as the first argument.
type Helper func(args []string) error

// Main runs a measuring program, reports its errors on stderr and exits. The
// context of run ends with SIGINT, SIGTERM and SIGHUP.
func Main(run func(ctx context.Context, args []string) error, helpers map[string]Helper) {
	if len(os.Args) > 1 && helpers[os.Args[1]] != nil {
		os.Exit(report(helpers[os.Args[1]](os.Args[2:])))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	stop()
	os.Exit(report(err))
}

// report prints the errors that err joins, and returns the exit status: that of
// the last error.
func report(err error) (status int) {
	for _, err := range Errors(err) {
		status = statusFailed
		if _, ok := errors.AsType[Missing](err); ok {
			status = statusSkipped
		}
		if _, ok := errors.AsType[UsageError](err); ok {
			status = statusUsage
		}
		Say("error: %v", err)
	}
	return status
}

// Errors returns the errors that errors.Join has joined into err. A request for
// help is no error.
func Errors(err error) (all []error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			all = append(all, Errors(err)...)
		}
	} else if err != nil && !errors.Is(err, flag.ErrHelp) {
		all = []error{err}
	}
	return all
}

// Say prints a line of progress on stderr, after the program's name.
func Say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, filepath.Base(os.Args[0])+": "+format+"\n", args...)
}

// Random returns the bytes that the measurements send, the same in every run.
func Random() io.Reader { return rand.NewChaCha8([32]byte{'m', 'e', 's', 'h'}) }
