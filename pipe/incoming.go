package pipe

import (
	"io"
	"sync"

	"mesh/pipe/digest"
	"mesh/pipe/ratelimit"
	"mesh/proto"
	"mesh/proto/wire"
)

// incoming is the transfer that we receive. It outlives a link.
//
//	links -> readChunk -> buffer [taken … end … highest] -> writeSink -> sink
//	                                taken -> sendAcks -> the primary link
//
// taken ≤ end ≤ highest ≤ taken + window, and highest ≤ done.Bytes once FILE_DONE
// has come. The sink has the bytes before taken; there may be holes from end on.
//
// It ends in two steps. It is over when all bytes were taken, or the consumer has
// left: nothing is buffered from then on. It has a final FILE_ACK when the sink
// has finished too.
type incoming struct {
	sink   *Sink
	id     wire.TransferID
	kind   string
	window int64
	every  int64 // bytes between two acknowledgements
	// striped reports whether more than one link has carried the transfer: then
	// chunks may come in any order.
	striped func() bool
	hash    *digest.Hasher // used by writeSink alone
	limit   *ratelimit.Share
	// fed, if set, reports whether we have sent data to the command that this transfer
	// comes from.
	fed func() bool

	mu      sync.Mutex
	changed sync.Cond // on mu
	buffer  reassembly
	taken   int64
	ackAt   int64         // the next FILE_ACK goes when so much is taken
	acked   int64         // in the last FILE_ACK over this primary link
	soon    bool          // ackSoonLocked looks whether more is taken
	ackNow  bool          // it was not
	begun   bool          // FILE_META came over this primary link
	meta    chan struct{} // closed when begun is true
	moved   progress      // of the data that comes
	done    *wire.Done
	gone    bool // the consumer takes no more
	over    bool
	final   *wire.Ack
	lost    error         // why the primary link is no more
	aborted error         // the exchange has failed
	ended   chan struct{} // closed when aborted is set
}

func newIncoming(id wire.TransferID, kind string, sink *Sink, window, every int64, striped func() bool) *incoming {
	in := &incoming{sink: sink, id: id, kind: kind, window: window, every: every, striped: striped, hash: digest.New(), moved: progressFromNow(), ended: make(chan struct{})}
	in.changed.L = &in.mu
	return in
}

// ackInterval returns how many bytes the sink takes between two acknowledgements
// when the sender has at most window unacknowledged ones.
func ackInterval(window int64) int64 { return min(proto.AckEveryBytes, window/4) }

// abort makes every method that waits return err. It reports whether the transfer is
// over: then the sink finishes all the same, and else never.
func (in *incoming) abort(err error) (over bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.aborted == nil {
		close(in.ended)
	}
	in.aborted = err
	in.changed.Broadcast()
	return in.over
}

// loseLink makes readChunk and sendAcks return err until the next useLink: the
// primary link is lost, and its flows with it.
func (in *incoming) loseLink(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.lost = err
	in.changed.Broadcast()
}

// useLink prepares for a new primary link. The returned FILE_RESUME is the first
// message over it if the transfer resumes.
func (in *incoming) useLink() *wire.Resume {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.lost, in.begun, in.meta = nil, false, make(chan struct{})
	return &wire.Resume{Transfer: in.id, Bytes: in.buffer.end}
}

// leave records that the consumer takes no more bytes.
func (in *incoming) leave() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.gone = true
	in.changed.Broadcast()
}

// isOver reports whether the sink needs no more bytes.
func (in *incoming) isOver() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.over
}

// handleMeta takes the FILE_META that begins the transfer.
func (in *incoming) handleMeta(m *wire.Meta) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.begun || m.Transfer != in.id || m.Kind != in.kind {
		return proto.Errorf(proto.Protocol, "%s out of order", m.Type())
	}
	in.begun = true
	close(in.meta)
	in.changed.Broadcast()
	return nil
}

// metaCame returns a channel that is closed when FILE_META has come over the primary
// link.
func (in *incoming) metaCame() <-chan struct{} {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.meta
}

// readChunk reads the body of a FILE_CHUNK, of bodyBytes, from r.
func (in *incoming) readChunk(r io.Reader, bodyBytes int) error {
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
	if err := in.checkChunk(offset, n); err != nil {
		return err
	}
	for n > 0 {
		room, skip, err := in.claimRoom(offset, n)
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
		in.commit(offset, got)
		if err != nil {
			return err
		}
		offset, n = offset+int64(got), n-got
	}
	return nil
}

// checkChunk checks whether a chunk of n bytes may come at offset.
func (in *incoming) checkChunk(offset int64, n int) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	end := offset + int64(n)
	switch {
	case in.over:
		return nil // sent before the peer knew that the consumer had left
	case !in.striped() && (!in.begun || offset != in.buffer.end), in.done != nil && end > in.done.Bytes:
		return proto.Errorf(proto.Protocol, "%s out of order", wire.TypeChunk)
	case end-in.taken > in.window:
		return proto.Errorf(proto.Protocol, "%s beyond the window", wire.TypeChunk)
	}
	return nil
}

// claimRoom returns room for the next of a chunk's n bytes, or how many of them to
// skip. It waits while another link is receiving the same bytes, since that link
// may be lost before it has delivered them.
func (in *incoming) claimRoom(offset int64, n int) (room []byte, skip int, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for ; ; in.changed.Wait() {
		switch {
		case in.aborted != nil:
			return nil, 0, in.aborted
		case in.over:
			return nil, n, nil
		case in.lost != nil:
			return nil, 0, in.lost
		}
		if room, skip, err = in.buffer.claim(offset, n); room != nil || skip > 0 || err != nil {
			return room, skip, err
		}
	}
}

// commit records that the first n bytes of the room claimed at offset have come.
func (in *incoming) commit(offset int64, n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.over {
		return
	}
	in.buffer.commit(offset, n)
	in.moved.add(int64(n))
	in.changed.Broadcast()
}

// handleDone takes the FILE_DONE that announces the end.
func (in *incoming) handleDone(d *wire.Done) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.over || in.done != nil && *in.done == *d {
		return nil // sent before the peer knew that the consumer had left, or repeated
	}
	if !in.begun || in.done != nil || d.Transfer != in.id {
		return proto.Errorf(proto.Protocol, "%s out of order", d.Type())
	}
	if got := in.buffer.highest(); d.Bytes < got || d.Bytes > got && !in.striped() {
		return proto.Errorf(proto.Integrity, "the peer sent %d bytes and announced %d", got, d.Bytes)
	}
	in.done = d
	in.changed.Broadcast()
	return nil
}
