package pipe

import (
	"context"
	"errors"
	"io"
)

// Join runs one side of a dialogue, whose frames are the bytes of a pair of
// pipes: it reads what the peer says and writes what is for the peer. The source
// and the sink are for [Exchange]; wait, which must be called with what that has
// returned, returns how the dialogue ended. An error of side ends both pipes with
// it, and so does its closing one of them with an error; when it returns nil, its
// own pipe ends.
func Join(ctx context.Context, side func(ctx context.Context, from *io.PipeReader, to *io.PipeWriter) error) (*Source, *Sink, func(error) error) {
	ctx, cancel := context.WithCancelCause(ctx)
	from, sink := io.Pipe()
	source, to := io.Pipe()
	done := make(chan struct{}) // closed when err is set
	var err error
	go func() {
		defer close(done)
		err = side(ctx, from, to)
		// The first of these to be noticed ends the exchange, if it is an error.
		_ = from.CloseWithError(err)
		_ = to.CloseWithError(err)
	}()
	wait := func(exchanged error) error {
		if exchanged != nil {
			cancel(exchanged)
			_ = sink.CloseWithError(exchanged)
			_ = source.CloseWithError(exchanged)
		}
		<-done
		cancel(nil)
		if exchanged != nil && (err == nil || errors.Is(err, exchanged)) {
			return exchanged
		}
		return err
	}
	finish := func(int) error {
		_ = sink.Close()
		<-done
		return err
	}
	return &Source{Reader: source}, &Sink{Writer: sink, Finish: finish}, wait
}
