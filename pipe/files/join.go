package files

import (
	"context"
	"errors"
	"io"

	"mesh/pipe"
)

// Incomplete is the error of a transfer that went to its end, but for single
// entries.
type Incomplete struct{ Err error }

// Error returns how many of them there are.
func (e *Incomplete) Error() string { return e.Err.Error() }

// Unwrap returns the error with the code of the first of them.
func (e *Incomplete) Unwrap() error { return e.Err }

// Join runs one side of a transfer of files, [Send] or [Receive], over a pair of
// pipes, as [pipe.StartDialogue] does. An [Incomplete] transfer ends its pipes in good
// order.
func Join(ctx context.Context, side func(ctx context.Context, from io.Reader, to io.Writer) error) (*pipe.Source, *pipe.Sink, func(error) error) {
	var incomplete *Incomplete
	source, sink, wait := pipe.StartDialogue(ctx, func(ctx context.Context, from *io.PipeReader, to *io.PipeWriter) error {
		err := side(ctx, from, to)
		if errors.As(err, &incomplete) {
			return nil
		}
		return err
	})
	return source, sink, func(exchanged error) error {
		if err := wait(exchanged); err != nil || incomplete == nil {
			return err
		}
		return incomplete
	}
}
