package cmdline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"mesh/pipe/term"
	"mesh/proto"
)

// AskFor is how long a question waits for its answer.
const AskFor = time.Minute

// ErrNoAnswer is in the chain of the error for a question that nobody has answered in
// time.
var ErrNoAnswer = errors.New("no answer")

// CanAsk reports whether a person can be asked: standard error is a terminal, this process
// is in its foreground, and the person can answer there. Standard input may be what is to
// be sent.
func (s Streams) CanAsk() bool {
	f, ok := s.Err.(*os.File)
	if !ok || !term.IsTerminal(f) || !term.Foreground(f) {
		return false
	}
	_, done, err := s.keyboard()
	if err == nil {
		done()
	}
	return err == nil
}

// terminal is the terminal of this process, whatever its standard streams are.
const terminal = "/dev/tty"

// keyboard returns where the user types.
func (s Streams) keyboard() (from io.Reader, done func(), err error) {
	f, ok := s.In.(*os.File)
	if !ok || term.IsTerminal(f) {
		return s.In, func() {}, nil
	}
	t, err := os.Open(terminal)
	return t, func() { _ = t.Close() }, err
}

// Ask asks a question and returns the word that is typed, in lower case.
func (s Streams) Ask(ctx context.Context, question string) (answer string, err error) {
	line, err := s.AskLine(ctx, question, AskFor)
	return strings.ToLower(line), err
}

// AskLine asks a question and returns the line that is typed, without spaces around it;
// "no" at the end of standard input. The error for no answer within the limit has
// [ErrNoAnswer] and the code [proto.Declined].
func (s Streams) AskLine(ctx context.Context, question string, limit time.Duration) (string, error) {
	from, done, err := s.keyboard()
	if err != nil {
		return "", proto.Errorf(proto.Declined, "nobody can be asked: %w", err)
	}
	fmt.Fprintf(s.Err, "%s: %s", s.Name, proto.EscapeText(question))
	answers := make(chan string, 1)
	go func() { // ends with the process if nobody answers
		defer done()
		answers <- readLine(from)
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case line := <-answers:
		return line, nil
	case <-timer.C:
		fmt.Fprintln(s.Err)
		return "", proto.Errorf(proto.Declined, "%w for %s", ErrNoAnswer, limit)
	case <-ctx.Done():
		fmt.Fprintln(s.Err)
		return "", context.Cause(ctx)
	}
}

// readLine reads one line and no byte of the next: that may be what is to be sent.
func readLine(r io.Reader) string {
	var line []byte
	for b := make([]byte, 1); len(line) < 1<<10; {
		n, err := r.Read(b)
		if n == 1 && b[0] != '\n' {
			line = append(line, b[0])
			continue
		}
		if n == 0 && err == nil {
			continue
		}
		if n == 0 && len(line) == 0 {
			return "no"
		}
		break
	}
	return strings.TrimSpace(string(line))
}
