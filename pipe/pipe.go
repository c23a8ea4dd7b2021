// Package pipe moves bytes over a link: a pipe each way, verified, with the end
// of each way told apart from a cut.
package pipe

import (
	"io"
	"sync/atomic"
	"time"

	"mesh/pipe/digest"
	"mesh/proto/wire"
)

// Source is where a transfer's bytes come from.
type Source struct {
	io.Reader
	// Status, if it is set, is called after the Reader's end and gives the exit
	// status of the producer, 0 to 255. It may block until the producer ended.
	Status func() int
	// Typed says that a person types the bytes. Then a consumer that leaves has
	// lost nothing that was not typed; of any other source it must be known that
	// it has ended.
	Typed bool
	// Size is how many bytes there will be, as far as that is known, for who tells
	// of progress; 0 if it is not.
	Size int64
	// Ready, if it is set, reports whether a Read would not block.
	Ready func() bool

	opening *opening // what First has given
}

// Sink is where a transfer's bytes go to.
type Sink struct {
	io.Writer
	// Finish, if it is set, is called after the last byte, when count and digest
	// are right, with the producer's exit status. The sender is told of the end
	// only when it has returned nil: what must be durable is durable then. A
	// status that is not 0 says that the data is not to be trusted.
	Finish func(status int) error
	// Leave, if it is set, is called in place of Finish when the consumer has
	// left before the end. An error fails the exchange.
	Leave func() error
	// Gone, if it is set, is closed when the consumer takes no more bytes and
	// that is no failure: a command may end before its input does. Then a write
	// that fails counts as that too.
	Gone <-chan struct{}
}

// Receipt is what is known of one transfer at its end.
type Receipt struct {
	Transfer wire.TransferID
	// Bytes is how many were taken by the consumer, Digest their BLAKE3.
	Bytes  int64
	Digest digest.Digest
	// Status is the producer's exit status.
	Status int
	// Elapsed is from the link to the end.
	Elapsed time.Duration
	// Via is what carried the link at the end: [proto.ViaQUIC], [proto.ViaTCP] or
	// "quic+tcp".
	Via string
	// Flows is how many links carried the transfer, at the most at a time.
	Flows int
}

// Result has a receipt for each direction that ended well enough to have one.
type Result struct {
	Sent, Received *Receipt
}

// Counters may be read while a transfer runs: bytes that the peer's consumer
// took, and that ours did.
type Counters struct {
	Sent, Received atomic.Int64
}
