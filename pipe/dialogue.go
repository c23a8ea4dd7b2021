package pipe

import (
	"context"
	"errors"
	"io"
)

// StartDialogue runs side, one end of a dialogue in messages, in a goroutine: side
// reads the peer's messages from one pipe and writes its own to the other. Pass
// the returned source and sink to [Exchange], then call wait with Exchange's error;
// wait returns how side ended.
//
// When side returns an error, both pipes fail with it, and the exchange with them;
// side may also close one of its pipes with an error itself. When it returns nil,
// its own pipe ends. When the exchange fails, side's context and pipes do.
//
// The messages are frames of their own inside the frames of the transfer. The
// second framing and the two pipes cost one copy of each byte at each end. In
// return, files and terminals share the window, the acknowledgements, the digest,
// resumption and flows of the transfer, and know nothing of links.
func StartDialogue(ctx context.Context, side func(ctx context.Context, from *io.PipeReader, to *io.PipeWriter) error) (*Source, *Sink, func(error) error) {
	ctx, cancel := context.WithCancelCause(ctx)
	from, sink := io.Pipe()
	source, to := io.Pipe()
	done := make(chan struct{}) // closed when err is set
	var err error
	go func() {
		defer close(done)
		err = side(ctx, from, to)
		// If err is not nil, the exchange ends at the first of the two that it notices.
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
