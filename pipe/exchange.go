package pipe

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/wire"
)

// frameReadBytes is how much is read off a link at once.
const frameReadBytes = 64 << 10

// frameWriter writes whole frames to a link, for both transfers.
type frameWriter struct {
	w io.Writer
	// turn holds one value while nobody writes. It is not a mutex because a
	// write may block for as long as the peer takes nothing.
	turn   chan struct{}
	prefix []byte
}

func newFrameWriter(w io.Writer) *frameWriter {
	f := &frameWriter{w: w, turn: make(chan struct{}, 1)}
	f.turn <- struct{}{}
	return f
}

func (f *frameWriter) yield() { f.turn <- struct{}{} }

func (f *frameWriter) message(m wire.Message) error {
	frame := wire.AppendFrame(nil, m)
	<-f.turn
	defer f.yield()
	_, err := f.w.Write(frame)
	return err
}

func (f *frameWriter) chunk(offset int64, data []byte) error {
	<-f.turn
	defer f.yield()
	f.prefix = wire.AppendChunkPrefix(f.prefix[:0], offset, len(data))
	if _, err := f.w.Write(f.prefix); err != nil {
		return err
	}
	_, err := f.w.Write(data)
	return err
}

// exchange is one run of [Exchange].
type exchange struct {
	link     *link.Link
	out      *outgoing // nil when we send nothing
	in       *incoming // nil when we receive nothing
	counters *Counters
	writer   *frameWriter
	begun    time.Time

	fail context.CancelCauseFunc

	mu     sync.Mutex
	result Result
	// errs of transfers that ended in good order: producers that failed,
	// consumers that left.
	errs error
}

// Exchange moves what the link's grants allow: a transfer from source to the
// peer, one from the peer to sink, or both at once, and closes the link. It
// blocks until both have ended, and returns nil only if all bytes of each were
// taken by its consumer, count and digest are equal at both ends, and every
// producer ended with 0. The first failure ends both and is told to the peer.
//
// When it returns an error, a Read of source or a Write to sink may still be
// blocked; close them to end it. A source or sink that the grants do not need
// is not used and may be nil.
func Exchange(ctx context.Context, l *link.Link, source *Source, sink *Sink, counters *Counters) (Result, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	x := &exchange{link: l, counters: counters, fail: fail, begun: time.Now(), writer: newFrameWriter(l)}
	sends, receives := l.Granted.Has(proto.CapSend), l.Granted.Has(proto.CapRecv)
	if !l.Dialed {
		sends, receives = receives, sends
	}
	if sends {
		x.out = newOutgoing(l.Transfer, source, min(l.PeerWindow, proto.WindowBytes))
	}
	if receives {
		x.in = newIncoming(l.Transfer, sink, proto.WindowBytes)
	}
	err := x.run(ctx)
	l.Close(err)
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.result, first(err, x.errs)
}

func (x *exchange) run(ctx context.Context) error {
	ended := make(chan struct{})  // both transfers have; closed below
	fin := make(chan struct{})    // the peer ended its side; closed by receive
	failed := make(chan struct{}) // closed when everyone was told of a failure
	var transfers, readers sync.WaitGroup
	stop := context.AfterFunc(ctx, func() {
		defer close(failed)
		x.abort(context.Cause(ctx))
	})
	defer func() {
		if !stop() {
			<-failed
		}
		readers.Wait()
	}()
	acked := make(chan struct{}) // our transfer got its final FILE_ACK; closed by receive
	if x.out != nil {
		go func() { // may be left in a read of the source
			if err := x.out.fill(); err != nil {
				x.fail(err)
			}
		}()
		transfers.Go(func() {
			if err := x.out.send(x.writer); err != nil {
				x.fail(err)
				return
			}
			select {
			case <-acked:
				x.sent()
			case <-ctx.Done():
			}
		})
	}
	if x.in != nil {
		taken := make(chan struct{})
		go func() { // may be left in a write to the sink
			defer close(taken)
			x.received(x.in.consume(x.writer, x.counters.Received.Store))
		}()
		transfers.Go(func() {
			select {
			case <-taken:
			case <-ctx.Done():
			case <-x.in.sink.Gone:
				x.in.leave()
				select {
				case <-taken:
				case <-ctx.Done():
				}
			}
		})
	}
	readers.Go(func() { x.receive(ended, acked, fin) })
	transfers.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	close(ended)
	return x.part(ctx, fin)
}

// part ends a link on which all was said: see "The end" in package proto.
func (x *exchange) part(ctx context.Context, fin <-chan struct{}) error {
	if !x.link.Dialed {
		if err := x.link.CloseWrite(); err == nil {
			x.link.AwaitClose(ctx)
		}
		x.link.Close(nil)
		return nil
	}
	timer := time.NewTimer(proto.CloseTimeout)
	defer timer.Stop()
	select {
	case <-fin:
	case <-timer.C:
	case <-ctx.Done():
	}
	x.link.Close(nil)
	return nil
}

// abort ends everything that waits.
func (x *exchange) abort(err error) {
	x.link.Close(err)
	if x.out != nil {
		x.out.stop(err)
	}
	if x.in != nil {
		x.in.stop(err)
	}
}

// receive reads frames until the peer ends its side, which is right only when
// both transfers have ended.
func (x *exchange) receive(ended <-chan struct{}, acked, fin chan<- struct{}) {
	defer close(fin)
	r := bufio.NewReaderSize(x.link, frameReadBytes)
	for {
		err := x.frame(r, acked)
		if err == nil {
			continue
		}
		select {
		case <-ended: // whatever ended the link then did no harm
			return
		default:
		}
		if errors.Is(err, io.EOF) && x.complete() {
			return
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = proto.Errorf(proto.Truncated, "the peer's data ended before its end was announced")
		}
		x.fail(err)
		return
	}
}

// complete reports whether the peer may end its side: it has all of ours, and
// we have all of its, though the consumer may still be at it.
func (x *exchange) complete() bool {
	if x.out != nil {
		x.out.mu.Lock()
		defer x.out.mu.Unlock()
		if x.out.final == nil {
			return false
		}
	}
	if x.in != nil {
		x.in.mu.Lock()
		defer x.in.mu.Unlock()
		return x.in.over
	}
	return true
}

// frame reads one frame and gives it to the transfer that it belongs to.
func (x *exchange) frame(r *bufio.Reader, acked chan<- struct{}) error {
	h, err := wire.ReadHeader(r)
	if err != nil {
		return err
	}
	var want []wire.Type
	if x.out != nil {
		want = append(want, wire.TypeAck)
	}
	if x.in != nil {
		want = append(want, wire.TypeMeta, wire.TypeChunk, wire.TypeDone)
	}
	if err := h.Expect(want...); err != nil {
		return err
	}
	if h.Type == wire.TypeChunk {
		return x.in.chunk(r, h.Bytes)
	}
	body := make([]byte, h.Bytes)
	if _, err := io.ReadFull(r, body); err != nil {
		return io.ErrUnexpectedEOF
	}
	switch h.Type {
	case wire.TypeMeta:
		var m wire.Meta
		if err := wire.ParseBody(body, &m); err != nil {
			return err
		}
		return x.in.meta(&m)
	case wire.TypeDone:
		var d wire.Done
		if err := wire.ParseBody(body, &d); err != nil {
			return err
		}
		return x.in.finish(&d)
	}
	var a wire.Ack
	if err := wire.ParseBody(body, &a); err != nil {
		return err
	}
	if err := x.out.ack(&a); err != nil {
		return err
	}
	x.counters.Sent.Store(a.Bytes)
	if a.Final {
		close(acked)
	}
	return nil
}

// sent keeps the receipt of the transfer that we sent.
func (x *exchange) sent() {
	r, err := x.out.receipt()
	r.Elapsed = time.Since(x.begun)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.result.Sent = r
	x.errs = first(x.errs, err)
}

// received keeps the receipt of the transfer that we received. An error without
// a receipt is a failure of the whole.
func (x *exchange) received(r *Receipt, err error) {
	if r == nil {
		x.fail(err)
		return
	}
	r.Elapsed = time.Since(x.begun)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.result.Received = r
	x.errs = first(x.errs, err)
}

func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
