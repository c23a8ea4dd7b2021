package files

import (
	"context"
	"errors"
	"io"

	"mesh/pipe"
)

// Join runs one side of a transfer, [Send] or [Receive], in a goroutine, between the
// two pipes of an exchange. Pass source and sink to [pipe.Exchange], then call wait
// with its error: wait returns how side ended. An [Incomplete] side does not break the
// exchange; wait returns it only if nothing worse happened. But once a side that receives
// has stored all, it has its [Outcome], whatever happens to the exchange after that. See
// [pipe.StartDialogue].
func Join(ctx context.Context, receives bool, side func(ctx context.Context, from io.Reader, to io.Writer) error) (*pipe.Source, *pipe.Sink, func(error) error) {
	var ended error // of side
	source, sink, wait := pipe.StartDialogue(ctx, func(ctx context.Context, from *io.PipeReader, to *io.PipeWriter) error {
		ended = side(ctx, from, to)
		if isWhole(ended) {
			return nil
		}
		return ended
	})
	return source, sink, func(exchanged error) error {
		err := wait(exchanged)
		if outcome := Outcome(ended); isWhole(outcome) && (receives || err == nil) {
			return outcome
		}
		return err
	}
}

// isWhole reports whether a side that ended with err went to the end of its transfer.
func isWhole(err error) bool {
	_, incomplete := errors.AsType[*Incomplete](err)
	return err == nil || incomplete
}

// Outcome returns how a receiver has ended whose error is err: if all was stored before
// the peer or the link failed, that failure does not count.
func Outcome(err error) error {
	if late, ok := errors.AsType[*lateError](err); ok {
		return late.outcome
	}
	return err
}

// lateError is a failure after all was stored. Outcome is nil, or [Incomplete].
type lateError struct{ err, outcome error }

func (e *lateError) Error() string { return e.err.Error() }

func (e *lateError) Unwrap() error { return e.err }
