package cmdline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"unicode"

	"github.com/urfave/cli/v2"

	"mesh/proto"
)

// Silent makes err end the tool with its code but print nothing: for what was
// said already, and for the status of a CMD that is passed on.
func Silent(err error) error {
	if err == nil {
		return nil
	}
	return &silent{err}
}

type silent struct{ error }

func (s *silent) Unwrap() error { return s.error }

// Complain prints err, and its hints, as the tool's last error would be, for a
// tool that goes on after it.
func Complain(c *cli.Context, err error) { StreamsOf(c).Complain(err) }

// Name is how the tool calls itself on stderr: mesh-cat, for mesh cat too.
func Name(c *cli.Context) string {
	if r, ok := c.App.Metadata[runKey].(*run); ok {
		return r.name
	}
	return c.App.Name
}

// WriteError gives a failed write to standard output its code: a reader that
// went away is [proto.BrokenStdout], which ends the tool quietly with 141.
func WriteError(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return &proto.Error{Code: proto.BrokenStdout, Err: err}
	}
	return proto.IOError(err)
}

// panicked is a panic that was caught.
type panicked struct {
	value any
	stack []byte // empty unless -vv
}

func (p *panicked) Error() string { return fmt.Sprintf("internal: %v", p.value) }

// internal is called in the deferred function that recovered v.
func internal(v any, trace bool) error {
	p := &panicked{value: v}
	if trace {
		p.stack = debug.Stack()
	}
	return &proto.Error{Code: proto.Internal, Err: p}
}

// signalled is the cause of a context that a signal ended.
type signalled struct{ syscall.Signal }

func (s signalled) Error() string { return "ended by " + s.Signal.String() }

// cause replaces an error that only says that ctx was cancelled, or that what
// hung on ctx was closed, by the reason of the cancellation. An error with a
// verdict of its own, such as a digest mismatch, came first and stays.
func cause(ctx context.Context, err error) error {
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
	complain(r.stderr, r.name, err)
	return int(proto.CodeOf(err))
}

// complain prints err's line and its hints, unless it is one of those that end
// a tool quietly: a signal, a reader that went away, a [Silent] error.
func complain(w io.Writer, name string, err error) {
	if _, ok := errors.AsType[*silent](err); ok {
		return
	}
	if _, ok := errors.AsType[signalled](err); ok || proto.CodeOf(err) == proto.BrokenStdout {
		return
	}
	fmt.Fprintf(w, "%s: error: %s\n", name, oneLine(err.Error()))
	for _, h := range proto.Hints(err) {
		fmt.Fprintf(w, "%s: hint: %s\n", name, oneLine(h))
	}
	if p, ok := errors.AsType[*panicked](err); ok {
		w.Write(p.stack)
	}
}

// oneLine shows what would break a line or fool a terminal as an escape. Names
// of files may hold it; text of a peer is escaped where it comes in.
func oneLine(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}
