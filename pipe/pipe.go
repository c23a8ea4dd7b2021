package pipe

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"mesh/pipe/digest"
	"mesh/proto"
	"mesh/proto/wire"
)

// Source is the origin of a transfer's bytes.
type Source struct {
	io.Reader
	// Status, if set, is called after the Reader's end and returns the producer's
	// exit status, 0 to 255. It may block until the producer has ended.
	Status func() int
	// Typed marks interactive input. A consumer that has taken all bytes typed so far
	// may then leave before the input's end without error. Any other source must be
	// seen to end, or the transfer counts as truncated.
	Typed bool
	// Size is the expected number of bytes, for progress displays; 0 if unknown.
	Size int64
	// Ready, if set, reports whether a Read would not block.
	Ready func() bool

	early  *earlyData // nil before EarlyData was called
	branch *branch    // of a Fanout; else nil
}

// Sink is the destination of a transfer's bytes.
type Sink struct {
	io.Writer
	// Finish, if set, is called after the last byte, when count and digest are
	// right, with the producer's exit status. The sender gets the final
	// acknowledgement only after Finish has returned nil: what must be durable, is.
	// A status other than 0 means that the data is not to be trusted.
	Finish func(status int) error
	// Leave, if set, is called instead of Finish when the consumer has left before
	// the end. An error fails the exchange.
	Leave func() error
	// Gone, if set, is closed when the consumer takes no more bytes and that is no
	// failure: a command may end before its input does. A failed Write then means
	// the same.
	Gone <-chan struct{}
	// AwaitLoss, if set, blocks until the consumer is lost and returns why. It returns
	// nil when ctx ends, or when the consumer cannot be watched. A lost consumer fails
	// the exchange even while nothing arrives, when no Write could find out.
	AwaitLoss func(ctx context.Context) error
}

// WatchLoss calls fail once the consumer of s is lost, as [Sink.AwaitLoss] tells. It
// stops watching when ctx ends or stop is called.
func (s *Sink) WatchLoss(ctx context.Context, fail context.CancelCauseFunc) (stop func()) {
	if s.AwaitLoss == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		if err := s.AwaitLoss(ctx); err != nil {
			fail(proto.IOError(err))
		}
	}()
	return cancel
}

// Receipt describes one transfer at its end.
type Receipt struct {
	Transfer wire.TransferID
	// Bytes is how many bytes the consumer took, Digest is their BLAKE3.
	Bytes  int64
	Digest digest.Digest
	// Status is the producer's exit status.
	Status int
	// Elapsed is the time from the start of the exchange to the transfer's end.
	Elapsed time.Duration
	// Via is the transport of the link at the end: [proto.ViaQUIC], [proto.ViaTCP],
	// or "quic+tcp".
	Via string
	// Path is the path of the link at the end: see [mesh/proto/path.Path].
	Path string
	// MaxBPS is how many bytes per second the relay of that path lets through, both ways
	// together; 0 without a relay or a limit.
	MaxBPS uint64
	// Paths are all paths that carried bytes, the first one first, with the bytes of each;
	// nil if that is one. They are those of the primary links.
	Paths []PathBytes
	// Flows is the largest number of links that carried the transfer at a time.
	Flows int
}

// Result has a receipt for each transfer that came to its final acknowledgement.
type Result struct {
	Sent, Received *Receipt
}

// Counters may be read while transfers run. Sent is the bytes that the peer's
// consumer took, Received the bytes that ours did.
type Counters struct {
	Sent, Received atomic.Int64
}
