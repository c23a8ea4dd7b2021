package pipe

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"mesh/pipe/digest"
	"mesh/proto"
	"mesh/proto/wire"
)

// endGrace is how long a source whose consumer has left may take to show that
// it had ended too.
const endGrace = 500 * time.Millisecond

// leadBytes is how far the source is read ahead of what the links have taken
// while there are some: further would only cost memory, and its caches.
const leadBytes = 1 << 20

// outgoing is the transfer that we send: fill reads the source into blocks,
// send and sendFlow write them to links, and ack frees them. It outlives a link:
// what is not acknowledged is kept, and sent again over another.
//
//	source -> fill -> blocks [acked … sent … end] -> send -> links
type outgoing struct {
	source *Source
	id     wire.TransferID
	kind   string
	window int64 // how much may be sent ahead of acked
	keep   int64 // how much may be read ahead of acked

	mu      sync.Mutex
	changed sync.Cond // on mu
	data    blocks
	acked   int64 // data before it was taken by the consumer
	sent    int64 // data before it was handed to a link, but for again
	reached int64 // the most that sent was: the peer can have no more
	again   []span
	lanes   []*lane // of links that live
	opened  bool    // one of them has been
	hash    *digest.Hasher
	eof     bool // data.end and status are final
	surplus bool // bytes were read that the consumer did not stay for
	status  int
	final   *wire.Ack
	waits   bool  // the peer has yet to say where to go on
	stopped error // the exchange has failed
}

// newOutgoing begins a transfer of which at most window bytes are on their way.
// With a spool of as many bytes the source may be further ahead than that.
func newOutgoing(id wire.TransferID, kind string, source *Source, window, spoolBytes int64) (*outgoing, error) {
	o := &outgoing{source: source, id: id, kind: kind, window: window, keep: window, hash: digest.New()}
	o.changed.L = &o.mu
	if f := source.opening; f != nil && len(f.data) > 0 {
		copy(o.data.space(), f.data)
		_, _ = o.hash.Write(f.data) // never fails
		if err := o.data.grow(len(f.data)); err != nil {
			return nil, proto.IOError(err)
		}
	}
	o.eof = source.opening != nil && source.opening.eof
	if spoolBytes > window {
		file, err := spoolFile()
		if err != nil {
			return nil, err
		}
		o.keep = spoolBytes
		o.data.spool, o.data.spoolBlocks = file, (spoolBytes+blockBytes-1)/blockBytes
		// One more than the window has: what is on its way to the peer, some of
		// a block that is still being filled perhaps, is never in the spool.
		o.data.held = int(window/blockBytes) + 2
	}
	return o, nil
}

// drop gives the spool up.
func (o *outgoing) drop() {
	if o.data.spool != nil {
		_ = o.data.spool.Close() // it has no name, nobody misses what was in it
	}
}

// stop makes every method that waits return err.
func (o *outgoing) stop(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stopped = err
	o.changed.Broadcast()
}

// open makes the lane of another link. The first one has carried what the source
// gave at once; so may one have done that the first goes on with.
func (o *outgoing) open(primary, resumed bool) *lane {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := &lane{primary: primary}
	if f := o.source.opening; f != nil && !o.opened {
		o.reached = int64(len(f.data))
		if !resumed {
			o.sent = o.reached
			l.meta, l.done, l.sent = true, f.eof, []span{{0, o.sent}}
		}
	}
	o.opened = true
	o.lanes = append(o.lanes, l)
	return l
}

// lose takes note that a link is no more. What it may not have brought to the
// peer is sent again.
func (o *outgoing) lose(l *lane, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if l.lost != nil {
		return
	}
	l.lost = err
	o.again = l.again(o.again, o.acked)
	o.lanes = slices.DeleteFunc(o.lanes, func(other *lane) bool { return other == l })
	o.changed.Broadcast()
}

// relinked gets ready to go on over another link, when the peer has said where.
func (o *outgoing) relinked() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waits = true
}

// resume takes the FILE_RESUME that says what the peer has.
func (o *outgoing) resume(m *wire.Resume) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.waits || m.Transfer != o.id || m.Bytes < o.acked || m.Bytes > o.reached {
		return proto.Errorf(proto.Protocol, "%s out of order", m.Type())
	}
	o.waits, o.sent, o.again = false, m.Bytes, nil
	o.changed.Broadcast()
	return nil
}

// fill reads the source to its end. It may be blocked in a read when the
// exchange is over, and then ends with that read.
func (o *outgoing) fill() error {
	if f := o.source.opening; f != nil && (f.eof || f.err != nil) {
		return f.err
	}
	for {
		room, err := o.room()
		if room == nil || err != nil {
			return err
		}
		n, err := o.source.Read(room)
		over, serr := o.filled(n)
		switch {
		case serr != nil:
			return serr
		case errors.Is(err, io.EOF):
			return o.ended()
		case over:
			return nil
		}
		if err != nil {
			return fmt.Errorf("read input: %w", proto.IOError(err))
		}
	}
}

// ended takes note of the source's end.
func (o *outgoing) ended() error {
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
	for o.fullLocked() && o.final == nil && o.stopped == nil {
		o.changed.Wait()
	}
	if o.stopped != nil {
		return nil, o.stopped
	}
	if o.final != nil {
		return make([]byte, 1), nil
	}
	room := o.data.space()
	return room[:min(int64(len(room)), o.keep-(o.data.end-o.acked))], nil
}

// fullLocked reports whether the source has been read far enough for now.
// While no link carries it, and into a spool, it goes on as far as it may.
func (o *outgoing) fullLocked() bool {
	carried := len(o.lanes) > 0 && !o.waits && o.data.spool == nil
	return o.data.end-o.acked >= o.keep || carried && o.data.end-o.sent >= leadBytes
}

// filled takes n bytes that were read into the room, and reports whether the
// transfer is over.
func (o *outgoing) filled(n int) (over bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.final != nil || o.stopped != nil {
		o.surplus = o.surplus || n > 0
		o.changed.Broadcast()
		return true, nil
	}
	if n > 0 {
		_, _ = o.hash.Write(o.data.space()[:n]) // never fails
		if err := o.data.grow(n); err != nil {
			return false, proto.IOError(err)
		}
		o.changed.Broadcast()
	}
	return false, nil
}

// send writes the lane's part of the transfer to its link, and returns when the
// peer has acknowledged the end of all. The primary lane begins with FILE_META
// and ends with FILE_DONE.
func (o *outgoing) send(w *frameWriter, l *lane) error {
	if l.primary && !l.meta {
		if err := w.message(&wire.Meta{Transfer: o.id, Kind: o.kind}); err != nil {
			return err
		}
	}
	for {
		offset, data, done, err := o.next(l)
		switch {
		case err != nil:
			return err
		case done != nil:
			err = w.message(done)
		case data == nil:
			return nil
		default:
			if err = w.chunk(offset, data); err == nil {
				o.written(l)
			}
		}
		if err != nil {
			return err
		}
	}
}

// next waits for what the lane is to send next: data, FILE_DONE, or nothing when
// the transfer has ended.
func (o *outgoing) next(l *lane) (offset int64, data []byte, done *wire.Done, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for ; ; o.changed.Wait() {
		switch {
		case o.stopped != nil:
			return 0, nil, nil, o.stopped
		case l.lost != nil:
			return 0, nil, nil, l.lost
		case o.final != nil:
			return 0, nil, nil, nil
		case o.waits:
			continue
		}
		if l.busy = o.claim(l.primary); l.busy.to > 0 {
			data, err := o.data.at(l.busy.from, &l.scratch)
			if err != nil {
				return 0, nil, nil, proto.IOError(err)
			}
			return l.busy.from, data[:l.busy.to-l.busy.from], nil, nil
		}
		if o.eof && o.sent == o.data.end && l.primary && !l.done {
			l.done = true
			return 0, nil, &wire.Done{Transfer: o.id, Bytes: o.data.end, Digest: o.digestLocked(), Status: o.status}, nil
		}
	}
}

// claim returns what of one block is to be sent next, if there is something. All
// but the primary lane get none of a block that is still being filled: what
// trickles in is then on one link, and arrives in order.
func (o *outgoing) claim(primary bool) span {
	if o.again = beyond(o.again, o.acked); len(o.again) > 0 {
		s := o.again[0]
		s.to = min(s.to, blockEnd(s.from))
		if o.again[0].from = s.to; o.again[0].from == o.again[0].to {
			o.again = o.again[1:]
		}
		return s
	}
	s := span{o.sent, min(o.data.end, blockEnd(o.sent), o.acked+o.window)}
	if s.to <= s.from || !primary && s.to < blockEnd(s.from) && !o.eof {
		return span{}
	}
	o.sent = s.to
	o.reached = max(o.reached, o.sent)
	o.changed.Broadcast() // there is room again
	return s
}

func blockEnd(offset int64) int64 { return offset - offset%blockBytes + blockBytes }

// written takes note that the lane's link took what was busy.
func (o *outgoing) written(l *lane) {
	o.mu.Lock()
	defer o.mu.Unlock()
	l.written(o.acked)
	o.releaseLocked()
}

// releaseLocked frees what is acknowledged, but for what a lane is still
// writing: the peer may have it all before that write has come back.
func (o *outgoing) releaseLocked() {
	free := min(o.acked, o.sent)
	for _, l := range o.lanes {
		if l.busy.to > 0 {
			free = min(free, l.busy.from)
		}
	}
	o.data.release(free)
}

// ahead reports whether the source is so far ahead of the links, or of the
// peer's consumer, that it is not the source that makes the transfer last.
func (o *outgoing) ahead() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.eof && (o.data.end-o.acked > o.keep/2 || o.data.end-o.sent > leadBytes/2)
}

// ack takes a FILE_ACK from the peer.
func (o *outgoing) ack(a *wire.Ack) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.final != nil && a.Final && *a.Digest == *o.final.Digest {
		return nil // said again over another link
	}
	if a.Transfer != o.id || o.final != nil || o.waits || a.Bytes < o.acked || a.Bytes > o.reached {
		return proto.Errorf(proto.Protocol, "%s out of order", a.Type())
	}
	if a.Final && a.Bytes == o.data.end && *a.Digest != o.digestLocked() { // then nothing is over
		return proto.Errorf(proto.Integrity, "the peer's digest of what we sent is another")
	}
	o.acked = a.Bytes
	o.releaseLocked()
	if a.Final {
		o.final = a
	}
	o.changed.Broadcast()
	return nil
}

func (o *outgoing) digestLocked() wire.Digest { return o.hash.Sum() }

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
	r := &Receipt{Transfer: o.id, Bytes: o.final.Bytes, Digest: *o.final.Digest, Status: o.status}
	switch {
	case o.status != 0:
		return r, proto.Errorf(proto.Producer, "the command ended with status %d", o.status)
	case o.final.Bytes < o.data.end:
		return r, proto.Errorf(proto.Truncated, "the peer's consumer ended after %d of %d bytes", o.final.Bytes, o.data.end)
	case o.surplus || !o.eof && !o.source.Typed:
		return r, proto.Errorf(proto.Truncated, "the peer's consumer ended after %d bytes, and the input had not ended", o.final.Bytes)
	}
	return r, nil
}
