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
// exchange; wait returns it only if nothing worse happened. See [pipe.StartDialogue].
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
