package cmdline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"syscall"

	"github.com/urfave/cli/v2"

	"mesh/proto"
)

// Silent returns an error that ends the tool with the code of err and prints nothing.
// Use it for an error that was printed before, and for the status of a CMD.
func Silent(err error) error {
	if err == nil {
		return nil
	}
	return &silent{err}
}

type silent struct{ error }

func (s *silent) Unwrap() error { return s.error }

// Name returns the name of the tool in messages: mesh-cat, also for "mesh cat".
func Name(c *cli.Context) string {
	if r, ok := c.App.Metadata[runKey].(*run); ok {
		return r.name
	}
	return c.App.Name
}

// WriteError gives a failed write to standard output its code. If the reader has
// closed, that is [proto.BrokenStdout], which ends the tool silently with 141.
func WriteError(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return &proto.Error{Code: proto.BrokenStdout, Err: err}
	}
	return proto.IOError(err)
}

// panicked is a recovered panic as an error.
type panicked struct {
	value any
	stack []byte // empty unless -vv
}

func (p *panicked) Error() string { return fmt.Sprintf("internal: %v", p.value) }

// internal returns the error for a panic with v. Call it in the deferred function that
// recovered v: trace adds the stack.
func internal(v any, trace bool) error {
	p := &panicked{value: v}
	if trace {
		p.stack = debug.Stack()
	}
	return &proto.Error{Code: proto.Internal, Err: p}
}

// signalled is the cause of a context that a signal has cancelled.
type signalled struct{ syscall.Signal }

func (s signalled) Error() string { return "ended by " + s.Signal.String() }

// Cause returns the cause of the cancellation of ctx instead of an error that only
// reports the cancellation, or something that the cancellation closed. An error that
// says more, for example a digest mismatch, came first and stays.
func Cause(ctx context.Context, err error) error {
	why := context.Cause(ctx)
	if err == nil || why == nil || errors.Is(err, errDone) {
		return err
	}
	for _, closing := range []error{
		context.Canceled, context.DeadlineExceeded, os.ErrDeadlineExceeded, os.ErrClosed, net.ErrClosed, io.ErrClosedPipe,
	} {
		if errors.Is(err, closing) {
			return why
		}
	}
	switch proto.CodeOf(err) {
	case proto.Failed, proto.Unreachable, proto.Timeout, proto.Truncated:
		return why
	}
	return err
}

// report prints err and returns the exit status.
func (r *run) report(err error) int {
	if err == nil || errors.Is(err, errDone) {
		return int(proto.OK)
	}
	complain(r.stderr, r.name, r.log.recorder(), err)
	return int(proto.CodeOf(err))
}

// complain prints the line of err and its hints, or makes a record of them if log is not
// nil. It prints nothing for a signal, for a closed standard output and for a [Silent]
// error.
func complain(w io.Writer, name string, log *slog.Logger, err error, about ...any) {
	if _, ok := errors.AsType[*silent](err); ok {
		return
	}
	if _, ok := errors.AsType[signalled](err); ok || proto.CodeOf(err) == proto.BrokenStdout {
		return
	}
	if log != nil {
		recordError(log, err, about)
		return
	}
	fmt.Fprintf(w, "%s: error: %s\n", name, proto.HideSecrets(proto.OneLine(err.Error())))
	for _, h := range proto.Hints(err) {
		fmt.Fprintf(w, "%s: hint: %s\n", name, proto.HideSecrets(proto.OneLine(h)))
	}
	if p, ok := errors.AsType[*panicked](err); ok {
		w.Write(p.stack)
	}
}
