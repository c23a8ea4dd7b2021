package pipe

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"mesh/pipe/digest"
	"mesh/pipe/ratelimit"
	"mesh/proto"
	"mesh/proto/wire"
)

// endGrace is how long a source may take to show that it has ended too, once the
// peer's consumer has left.
const endGrace = 500 * time.Millisecond

// readAheadBytes is how far the source is read ahead of what live links have
// taken: further would only cost memory and cache.
const readAheadBytes = 1 << 20

// outgoing is the transfer that we send. It outlives a link: unacknowledged bytes
// are kept and sent again over another one.
//
//	source -> readSource -> buffer [acked … next … end] -> sendOn, one per link
//
// One lock guards the two parts of its state, the buffered bytes and how far each
// of them has come.
type outgoing struct {
	source *Source
	id     wire.TransferID
	kind   string
	keep   int64 // how much may be read ahead of the acknowledged bytes
	every  int64 // bytes that the peer may take without acknowledging them
	limit  *ratelimit.Share

	mu      sync.Mutex
	changed sync.Cond // on mu
	buffer  sendBuffer
	state   sendState
	early   *earlyData // not yet credited to a subflow; else nil
	hash    *digest.Hasher
	eof     bool // buffer.end and status are final
	status  int
	branch  *branch   // set if the source goes to several peers: see Fanout
	surplus bool      // the source gave bytes after the consumer had left
	final   *wire.Ack // the end of the transfer; else nil
	moved   progress  // of the peer with what it gets
	owed    time.Time // since when the peer owes something: see owesLocked
	aborted error     // the exchange has failed
}

// pending reports whether the peer has not acknowledged all that was handed to links.
func (o *outgoing) pending() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.state.next > o.state.acked
}

// newOutgoing begins a transfer with at most window unacknowledged bytes. A spool
// larger than that lets the source run ahead by as many bytes.
func newOutgoing(id wire.TransferID, kind string, source *Source, window, spoolBytes int64) (*outgoing, error) {
	o := &outgoing{source: source, id: id, kind: kind, keep: window, every: ackInterval(window), moved: progressFromNow(), early: source.early, hash: digest.New()}
	o.changed.L = &o.mu
	o.state.window = window
	if source.branch != nil {
		o.branch, o.keep = source.branch, source.branch.fan.keep
		return o, nil
	}
	if e := o.early; e != nil {
		o.eof = e.eof
		if len(e.data) > 0 {
			copy(o.buffer.room(), e.data)
			_, _ = o.hash.Write(e.data) // never fails
			if err := o.buffer.commit(len(e.data)); err != nil {
				return nil, proto.IOError(err)
			}
		}
	}
	var err error
	o.keep, err = o.buffer.limit(window, spoolBytes)
	return o, err
}

// closeSpool removes the spool, if there is one.
func (o *outgoing) closeSpool() { o.buffer.close() }

// abort makes every method that waits return err.
func (o *outgoing) abort(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.aborted = err
	o.changed.Broadcast()
}

// openSubflow adds a subflow for a new link over the transport via. The transfer's first
// link has carried the early data. If it resumes the transfer of an earlier dial, that carried the
// early data, and the peer may have it or not: it may be acknowledged, and the
// peer's FILE_RESUME decides whether it is sent again.
func (o *outgoing) openSubflow(via string, primary, resumed bool) *subflow {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.state.addSubflow(via, primary)
	if resumed {
		f.smallFirst()
	}
	if e := o.early; e != nil {
		o.early = nil
		o.state.highest = int64(len(e.data))
		if !resumed {
			o.state.next = o.state.highest
			f.metaSent, f.doneSent, f.written = true, e.eof, []span{{0, o.state.next}}
		}
	}
	return f
}

// loseSubflow ends a subflow whose link was lost. Its unacknowledged bytes are
// sent again.
func (o *outgoing) loseSubflow(f *subflow, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if f.lost != nil {
		return
	}
	f.lost = err
	close(f.ended)
	o.state.removeSubflow(f)
	o.releaseLocked()
	o.changed.Broadcast()
}

// awaitResume holds all subflows back until the peer's FILE_RESUME.
func (o *outgoing) awaitResume() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.state.awaitsResume = true
}

// handleResume takes the FILE_RESUME with the offset from which to send.
func (o *outgoing) handleResume(m *wire.Resume) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if m.Transfer != o.id || !o.state.resumeAt(m.Bytes) {
		return proto.Errorf(proto.Protocol, "%s out of order", m.Type())
	}
	o.releaseLocked()
	o.changed.Broadcast()
	return nil
}

// readSource reads the source to its end. When the exchange is over it may still
// be blocked in a read, and returns after that.
func (o *outgoing) readSource() error {
	if e := o.source.early; e != nil && (e.eof || e.err != nil) {
		return e.err
	}
	for {
		room, err := o.waitForRoom()
		if err != nil {
			return err
		}
		n, err := o.source.Read(room)
		over, cerr := o.commit(n)
		switch {
		case cerr != nil:
			return cerr
		case errors.Is(err, io.EOF):
			o.endSource()
			return nil
		case over:
			return nil
		case err != nil:
			return readError(err)
		}
	}
}

func readError(err error) error { return fmt.Errorf("read input: %w", proto.IOError(err)) }

// endSource records the source's end and its producer's status.
func (o *outgoing) endSource() {
	status := 0
	if o.source.Status != nil {
		status = o.source.Status()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.eof, o.status, o.owed = true, status, time.Now()
	o.changed.Broadcast()
}

// waitForRoom waits until more of the source may be read, and returns the buffer
// for it. Once the consumer has left there is always room for a byte, since it
// matters whether the source has ended.
func (o *outgoing) waitForRoom() ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.fullLocked() && o.final == nil && o.aborted == nil {
		o.changed.Wait()
	}
	if o.aborted != nil {
		return nil, o.aborted
	}
	if o.final != nil {
		return make([]byte, 1), nil
	}
	room := o.buffer.room()
	return room[:min(int64(len(room)), o.keep-(o.buffer.end-o.state.acked))], nil
}

// fullLocked reports whether the source has been read far enough for now. Into a
// spool, or while no link takes bytes, it is read as far as keep allows.
func (o *outgoing) fullLocked() bool {
	s := &o.state
	sending := len(s.subflows) > 0 && !s.awaitsResume && o.buffer.spool == nil
	return o.buffer.end-s.acked >= o.keep || sending && o.buffer.end-s.next >= readAheadBytes
}

// commit appends n bytes that were read into the room. It reports whether the
// transfer is over.
func (o *outgoing) commit(n int) (over bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.final != nil || o.aborted != nil {
		o.surplus = o.surplus || n > 0
		o.changed.Broadcast()
		return true, nil
	}
	if n > 0 {
		_, _ = o.hash.Write(o.buffer.room()[:n]) // never fails
		before := o.owesLocked()
		if err := o.buffer.commit(n); err != nil {
			return false, proto.IOError(err)
		}
		if !before {
			o.owed = time.Now()
		}
		o.changed.Broadcast()
	}
	return false, nil
}

// backlogged reports whether the links or the peer's consumer, rather than the
// source, limit the transfer's rate.
func (o *outgoing) backlogged() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.eof && (o.buffer.end-o.state.acked > o.keep/2 || o.buffer.end-o.state.next > readAheadBytes/2)
}

// begun reports whether the source has given any bytes.
func (o *outgoing) begun() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.end > 0
}

func (o *outgoing) digestLocked() wire.Digest {
	if o.branch != nil {
		return o.branch.digest
	}
	return o.hash.Sum()
}

// bytesAtLocked returns the bytes from offset to the end of their block at most.
func (o *outgoing) bytesAtLocked(offset int64, f *subflow) ([]byte, error) {
	if o.branch != nil {
		return o.branch.bytesAt(offset, f)
	}
	return o.buffer.bytesAt(offset, &f.scratch)
}

// releaseLocked frees the bytes that are not needed any more.
func (o *outgoing) releaseLocked() {
	if o.branch != nil {
		o.branch.note(o)
		return
	}
	o.buffer.releaseBefore(o.state.releasable())
}

// receipt returns the outcome of the transfer after its final FILE_ACK. It may
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
	for !o.eof && !o.surplus && !late && !o.source.Typed && o.final.Bytes == o.buffer.end {
		o.changed.Wait()
	}
	r := &Receipt{Transfer: o.id, Bytes: o.final.Bytes, Digest: *o.final.Digest, Status: o.status}
	switch {
	case o.branch != nil && o.eof && r.Bytes == o.buffer.end && r.Digest != o.digestLocked():
		return r, errDigest
	case o.status != 0:
		return r, proto.Errorf(proto.Producer, "the command ended with status %d", o.status)
	case o.final.Bytes < o.buffer.end:
		return r, proto.Errorf(proto.Truncated, "the peer's consumer ended after %d of %d bytes", o.final.Bytes, o.buffer.end)
	case o.surplus || !o.eof && !o.source.Typed:
		return r, proto.Errorf(proto.Truncated, "the peer's consumer ended after %d bytes, and the input had not ended", o.final.Bytes)
	}
	return r, nil
}
