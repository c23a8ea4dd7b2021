package pipe

import (
	"io"
	"sync"

	"mesh/pipe/digest"
	"mesh/proto"
	"mesh/proto/wire"
)

// incoming is the transfer that we receive: chunk puts what the links bring
// into its place, consume writes it to the sink, and acknowledge tells the peer.
// It outlives a link.
//
//	links -> chunk -> data [taken … end] -> consume -> sink
type incoming struct {
	sink   *Sink
	id     wire.TransferID
	kind   string
	window int64
	every  int64 // bytes between two acknowledgements
	// striped reports whether more than one link has carried it.
	striped func() bool

	mu      sync.Mutex
	changed sync.Cond // on mu
	begun   bool      // FILE_META came over this link
	data    assembly
	taken   int64 // data before it is the consumer's
	done    *wire.Done
	gone    bool      // the consumer takes no more
	over    bool      // final is being decided: nothing is kept any more
	final   *wire.Ack // sent over each link until the peer has it
	down    error     // the link is broken
	stopped error

	hash *digest.Hasher // consume's own
}

func newIncoming(id wire.TransferID, kind string, sink *Sink, window, every int64, striped func() bool) *incoming {
	in := &incoming{sink: sink, id: id, kind: kind, window: window, every: every, striped: striped, hash: digest.New()}
	in.changed.L = &in.mu
	return in
}

// ackEvery returns how much is taken between two acknowledgements when the sender
// has at most window bytes on their way.
func ackEvery(window int64) int64 { return min(proto.AckEveryBytes, window/4) }

// stop makes every method that waits return err.
func (in *incoming) stop(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.stopped = err
	in.changed.Broadcast()
}

// cut makes acknowledge return err: its link is broken.
func (in *incoming) cut(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.down = err
	in.changed.Broadcast()
}

// relinked gets ready for a link, and returns what its peer must know.
func (in *incoming) relinked() *wire.Resume {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.down, in.begun = nil, false
	return &wire.Resume{Transfer: in.id, Bytes: in.data.end}
}

// leave says that the consumer takes no more.
func (in *incoming) leave() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.gone = true
	in.changed.Broadcast()
}

// meta takes the FILE_META that begins the transfer.
func (in *incoming) meta(m *wire.Meta) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.begun || m.Transfer != in.id || m.Kind != in.kind {
		return proto.Errorf(proto.Protocol, "%s out of order", m.Type())
	}
	in.begun = true
	in.changed.Broadcast()
	return nil
}

// chunk reads the rest of a FILE_CHUNK whose body has as many bytes from r.
func (in *incoming) chunk(r io.Reader, bodyBytes int) error {
	var prefix [proto.ChunkHeaderBytes]byte
	if bodyBytes < len(prefix) {
		return proto.Errorf(proto.Protocol, "%s of %d bytes", wire.TypeChunk, bodyBytes)
	}
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return err
	}
	offset, n, err := wire.ParseChunkOffset(prefix[:], bodyBytes)
	if err != nil {
		return err
	}
	if err := in.expect(offset, n); err != nil {
		return err
	}
	for n > 0 {
		room, skip, err := in.claim(offset, n)
		if err != nil {
			return err
		}
		if skip > 0 {
			if _, err := io.CopyN(io.Discard, r, int64(skip)); err != nil {
				return err
			}
			offset, n = offset+int64(skip), n-skip
			continue
		}
		got, err := io.ReadFull(r, room)
		in.filled(offset, got)
		if err != nil {
			return err
		}
		offset, n = offset+int64(got), n-got
	}
	return nil
}

// expect checks where a chunk of n bytes belongs.
func (in *incoming) expect(offset int64, n int) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	end := offset + int64(n)
	switch {
	case in.over:
		return nil // on its way when the consumer left
	case !in.striped() && (!in.begun || offset != in.data.end), in.done != nil && end > in.done.Bytes:
		return proto.Errorf(proto.Protocol, "%s out of order", wire.TypeChunk)
	case end-in.taken > in.window:
		return proto.Errorf(proto.Protocol, "%s beyond the window", wire.TypeChunk)
	}
	return nil
}

// claim returns where the next of a chunk's bytes go, or how many of them are
// not needed. It waits for bytes that come over another link too, which may be
// lost before it has brought them.
func (in *incoming) claim(offset int64, n int) (room []byte, skip int, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for ; ; in.changed.Wait() {
		switch {
		case in.stopped != nil:
			return nil, 0, in.stopped
		case in.over:
			return nil, n, nil
		case in.down != nil:
			return nil, 0, in.down
		}
		if room, skip, err = in.data.claim(offset, n); room != nil || skip > 0 || err != nil {
			return room, skip, err
		}
	}
}

func (in *incoming) filled(offset int64, n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.over {
		return
	}
	in.data.filled(offset, n)
	in.changed.Broadcast()
}

// finish takes the FILE_DONE that announces the end.
func (in *incoming) finish(d *wire.Done) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.over || in.done != nil && *in.done == *d {
		return nil // on its way when the consumer left, or said again
	}
	if !in.begun || in.done != nil || d.Transfer != in.id {
		return proto.Errorf(proto.Protocol, "%s out of order", d.Type())
	}
	if last := in.data.last(); d.Bytes < last || d.Bytes > last && !in.striped() {
		return proto.Errorf(proto.Integrity, "the peer sent %d bytes and says %d", last, d.Bytes)
	}
	in.done = d
	in.changed.Broadcast()
	return nil
}

// consume writes the transfer to the sink, to its end, and reports its receipt
// there. It may be blocked in a write when the exchange is over, and then ends
// with that.
func (in *incoming) consume(count func(taken int64), report func(*Receipt, error)) error {
	for {
		data, err := in.next()
		if err != nil {
			return err
		}
		if data == nil {
			return in.end(report)
		}
		n, err := in.sink.Write(data)
		_, _ = in.hash.Write(data[:n]) // never fails
		count(in.took(n))
		switch {
		case err != nil && in.sink.Gone != nil:
			in.leave()
		case err != nil:
			return proto.IOError(err)
		}
	}
}

// acknowledge sends FILE_ACKs over a link, up to the final one.
func (in *incoming) acknowledge(w *frameWriter) error {
	var acked int64
	for {
		a, err := in.nextAck(acked)
		if err != nil {
			return err
		}
		if err := w.message(a); err != nil || a.Final {
			return err
		}
		acked = a.Bytes
	}
}

// nextAck waits until there is enough to acknowledge beyond what was.
func (in *incoming) nextAck(acked int64) (*wire.Ack, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.taken-acked < in.every && in.final == nil && in.down == nil && in.stopped == nil {
		in.changed.Wait()
	}
	switch {
	case in.stopped != nil:
		return nil, in.stopped
	case in.down != nil:
		return nil, in.down
	case in.final != nil:
		return in.final, nil
	}
	return &wire.Ack{Transfer: in.id, Bytes: in.taken}, nil
}

// next waits for bytes for the consumer. There are none any more when all of
// the transfer, or all that the consumer wants, is taken.
func (in *incoming) next() ([]byte, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	all := func() bool { return in.done != nil && in.taken == in.done.Bytes }
	for in.taken == in.data.end && !all() && !in.gone && in.stopped == nil {
		in.changed.Wait()
	}
	if in.stopped != nil {
		return nil, in.stopped
	}
	if in.gone || all() {
		in.over = true
		in.changed.Broadcast()
		return nil, nil
	}
	return in.data.at(in.taken), nil
}

// took takes note of n bytes that the sink took, and returns how many it has.
func (in *incoming) took(n int) int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	before := in.taken / in.every
	in.taken += int64(n)
	in.data.release(in.taken)
	if in.taken/in.every > before {
		in.changed.Broadcast()
	}
	return in.taken
}

// end checks the digest, lets the sink finish, reports the receipt and gives
// the final FILE_ACK to acknowledge.
func (in *incoming) end(report func(*Receipt, error)) error {
	r := &Receipt{Transfer: in.id, Bytes: in.taken, Digest: in.hash.Sum()}
	in.mu.Lock()
	done := in.done
	if done != nil && in.taken < done.Bytes {
		done = nil // the consumer left before the end
	}
	in.mu.Unlock()
	if done != nil {
		if done.Digest != r.Digest {
			return proto.Errorf(proto.Integrity, "digest mismatch: what arrived is not what was sent")
		}
		r.Status = done.Status
		if in.sink.Finish != nil {
			if err := in.sink.Finish(done.Status); err != nil {
				return proto.IOError(err)
			}
		}
	}
	if done == nil && in.sink.Leave != nil {
		if err := in.sink.Leave(); err != nil {
			return proto.IOError(err)
		}
	}
	var err error
	if r.Status != 0 {
		err = proto.Errorf(proto.Producer, "the peer's command ended with status %d: its data is not to be trusted", r.Status)
	}
	report(r, err)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.final = &wire.Ack{Transfer: in.id, Bytes: r.Bytes, Final: true, Digest: &r.Digest}
	in.changed.Broadcast()
	return nil
}
