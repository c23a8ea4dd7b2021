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
// pipes. The source and the sink are for [pipe.Exchange]; wait, which must be
// called with what that has returned, returns how the transfer ended.
func Join(ctx context.Context, side func(ctx context.Context, from io.Reader, to io.Writer) error) (*pipe.Source, *pipe.Sink, func(error) error) {
	ctx, cancel := context.WithCancelCause(ctx)
	from, sink := io.Pipe()
	source, to := io.Pipe()
	done := make(chan struct{}) // closed when err is set
	var err, fatal error
	go func() {
		defer close(done)
		err = side(ctx, from, to)
		if _, ok := errors.AsType[*Incomplete](err); !ok {
			fatal = err
		}
		// The first of these to be noticed ends the exchange, if it is an error.
		_ = from.CloseWithError(fatal)
		_ = to.CloseWithError(fatal)
	}()
	wait := func(exchanged error) error {
		if exchanged != nil {
			cancel(exchanged)
			_ = sink.CloseWithError(exchanged)
			_ = source.CloseWithError(exchanged)
		}
		<-done
		cancel(nil)
		if exchanged != nil && (fatal == nil || errors.Is(fatal, exchanged)) {
			return exchanged
		}
		return err
	}
	finish := func(int) error {
		_ = sink.Close()
		<-done
		return fatal
	}
	return &pipe.Source{Reader: source}, &pipe.Sink{Writer: sink, Finish: finish}, wait
}
