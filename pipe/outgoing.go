package pipe

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"mesh/pipe/digest"
	"mesh/proto"
	"mesh/proto/wire"
)

// endGrace is how long a source whose consumer has left may take to show that
// it had ended too.
const endGrace = 500 * time.Millisecond

// outgoing is the transfer that we send: fill reads the source into blocks,
// send writes them to the link, and ack frees them. It outlives a link: what is
// not acknowledged is kept, and sent again over the next.
//
//	source -> fill -> blocks [acked … sent … end] -> send -> link
type outgoing struct {
	source *Source
	id     wire.TransferID
	kind   string
	window int64

	mu      sync.Mutex
	changed sync.Cond // on mu
	data    blocks
	acked   int64 // data before it was taken by the consumer
	sent    int64 // data before it was handed to the link
	hash    *digest.Hasher
	eof     bool // data.end and status are final
	surplus bool // bytes were read that the consumer did not stay for
	status  int
	final   *wire.Ack
	waits   bool  // the peer has yet to say where to go on
	down    error // the link is broken
	stopped error // the exchange has failed
}

func newOutgoing(id wire.TransferID, kind string, source *Source, window int64) *outgoing {
	o := &outgoing{source: source, id: id, kind: kind, window: window, hash: digest.New()}
	o.changed.L = &o.mu
	return o
}

// stop makes every method that waits return err.
func (o *outgoing) stop(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stopped = err
	o.changed.Broadcast()
}

// cut makes send return err: its link is broken.
func (o *outgoing) cut(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.down = err
	o.changed.Broadcast()
}

// relinked gets ready for send on another link.
func (o *outgoing) relinked() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.down, o.waits = nil, true
}

// resume takes the FILE_RESUME that says what the peer has.
func (o *outgoing) resume(m *wire.Resume) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.waits || m.Transfer != o.id || m.Bytes < o.acked || m.Bytes > o.data.end {
		return proto.Errorf(proto.Protocol, "%s out of order", m.Type())
	}
	o.waits, o.sent = false, m.Bytes
	o.changed.Broadcast()
	return nil
}

// fill reads the source to its end. It may be blocked in a read when the
// exchange is over, and then ends with that read.
func (o *outgoing) fill() error {
	for {
		room, err := o.room()
		if room == nil || err != nil {
			return err
		}
		n, err := o.source.Read(room)
		over := o.filled(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if over {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read input: %w", proto.IOError(err))
		}
	}
	status := 0
	if o.source.Status != nil {
		status = o.source.Status()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.eof, o.status = true, status
	o.changed.Broadcast()
	return nil
}

// room waits until the window has room, and returns nil when the exchange has
// failed. When the consumer has left there is always room: whether the source
// had ended is still to be known.
func (o *outgoing) room() ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.data.end-o.acked >= o.window && o.final == nil && o.stopped == nil {
		o.changed.Wait()
	}
	if o.stopped != nil {
		return nil, o.stopped
	}
	if o.final != nil {
		return make([]byte, 1), nil
	}
	room := o.data.space()
	return room[:min(int64(len(room)), o.window-(o.data.end-o.acked))], nil
}

// filled takes n bytes that were read into the room, and reports whether the
// transfer is over.
func (o *outgoing) filled(n int) (over bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.final != nil || o.stopped != nil {
		o.surplus = o.surplus || n > 0
		o.changed.Broadcast()
		return true
	}
	if n > 0 {
		from := o.data.end
		o.data.grow(n)
		_, _ = o.hash.Write(o.data.at(from)[:n]) // never fails
		o.changed.Broadcast()
	}
	return false
}

// send writes the transfer to a link, from FILE_META to FILE_DONE, and returns
// when the peer has acknowledged its end.
func (o *outgoing) send(w *frameWriter) error {
	if err := w.message(&wire.Meta{Transfer: o.id, Kind: o.kind}); err != nil {
		return err
	}
	for {
		offset, data, done, err := o.next()
		switch {
		case err != nil:
			return err
		case done != nil:
			if err := w.message(done); err != nil {
				return err
			}
			return o.awaitFinal()
		case data == nil:
			return nil
		}
		if err := w.chunk(offset, data); err != nil {
			return err
		}
		o.written(offset + int64(len(data)))
	}
}

// next waits for what is to be sent next: data, FILE_DONE, or nothing when the
// transfer has ended.
func (o *outgoing) next() (offset int64, data []byte, done *wire.Done, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for (o.waits || o.sent == o.data.end && !o.eof) && o.final == nil && o.down == nil && o.stopped == nil {
		o.changed.Wait()
	}
	switch {
	case o.stopped != nil:
		return 0, nil, nil, o.stopped
	case o.down != nil:
		return 0, nil, nil, o.down
	case o.final != nil:
		return 0, nil, nil, nil
	case o.sent < o.data.end:
		return o.sent, o.data.at(o.sent), nil, nil
	}
	return 0, nil, &wire.Done{Transfer: o.id, Bytes: o.data.end, Digest: o.digestLocked(), Status: o.status}, nil
}

// awaitFinal waits for the final FILE_ACK.
func (o *outgoing) awaitFinal() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.final == nil && o.down == nil && o.stopped == nil {
		o.changed.Wait()
	}
	if o.stopped != nil {
		return o.stopped
	}
	if o.final == nil {
		return o.down
	}
	return nil
}

// written takes note of what the link took.
func (o *outgoing) written(end int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent = end
	o.data.release(min(o.acked, o.sent))
}

// ack takes a FILE_ACK from the peer.
func (o *outgoing) ack(a *wire.Ack) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	// The peer may have data that send has not come back from writing, which is
	// in the block at sent at the most; blocks are released up to sent only.
	if o.final != nil && a.Final && *a.Digest == *o.final.Digest {
		return nil // said again over another link
	}
	if a.Transfer != o.id || o.final != nil || a.Bytes < o.acked || a.Bytes > o.data.end {
		return proto.Errorf(proto.Protocol, "%s out of order", a.Type())
	}
	o.acked = a.Bytes
	o.data.release(min(o.acked, o.sent))
	if a.Final {
		o.final = a
		if a.Bytes == o.data.end && *a.Digest != o.digestLocked() {
			return proto.Errorf(proto.Integrity, "the peer's digest of what we sent is another")
		}
	}
	o.changed.Broadcast()
	return nil
}

func (o *outgoing) digestLocked() wire.Digest { return wire.Digest(o.hash.Sum()) }

// receipt returns what became of the transfer after its final FILE_ACK. It may
// block for endGrace.
func (o *outgoing) receipt() (*Receipt, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	late := false
	timer := time.AfterFunc(endGrace, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		late = true
		o.changed.Broadcast()
	})
	defer timer.Stop()
	for !o.eof && !o.surplus && !late && !o.source.Typed && o.final.Bytes == o.data.end {
		o.changed.Wait()
	}
	r := &Receipt{Transfer: o.id, Bytes: o.final.Bytes, Digest: digest.Digest(*o.final.Digest), Status: o.status}
	switch {
	case o.status != 0:
		return r, proto.Errorf(proto.Producer, "the sending command ended with status %d", o.status)
	case o.final.Bytes < o.data.end:
		return r, proto.Errorf(proto.Truncated, "the peer's consumer ended after %d of %d bytes", o.final.Bytes, o.data.end)
	case o.surplus || !o.eof && !o.source.Typed:
		return r, proto.Errorf(proto.Truncated, "the peer's consumer ended after %d bytes, and the input had not ended", o.final.Bytes)
	}
	return r, nil
}
