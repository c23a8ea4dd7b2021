package pipe

import (
	"time"

	"mesh/proto"
	"mesh/proto/wire"
)

// writeSink writes the transfer to the sink, to its end, and reports its receipt
// there. count is called with the bytes taken so far. When the exchange is over it
// may still be blocked in a write, and returns after that.
func (in *incoming) writeSink(count func(taken int64), report func(*Receipt, error)) error {
	for {
		data, err := in.nextData()
		if err != nil {
			return err
		}
		if data == nil {
			return in.finish(report)
		}
		data = data[:min(int64(len(data)), in.limit.Piece())]
		in.limit.Take(len(data), in.ended)
		n, err := in.sink.Write(data)
		_, _ = in.hash.Write(data[:n]) // never fails
		count(in.markTaken(n))
		switch {
		case err != nil && in.sink.Gone != nil:
			in.leave()
		case err != nil:
			return proto.IOError(err)
		}
	}
}

// nextData waits for bytes for the sink. It returns nil when all bytes were taken
// or the consumer has left.
func (in *incoming) nextData() ([]byte, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.taken == in.buffer.end && !in.completeLocked() && !in.gone && in.aborted == nil {
		in.changed.Wait()
	}
	if in.aborted != nil {
		return nil, in.aborted
	}
	if in.gone || in.completeLocked() {
		in.over = true
		in.changed.Broadcast()
		return nil, nil
	}
	return in.buffer.bytesAt(in.taken), nil
}

// completeLocked reports whether the sink has all bytes.
func (in *incoming) completeLocked() bool { return in.done != nil && in.taken == in.done.Bytes }

// markTaken records that the sink took n more bytes, and returns their total.
func (in *incoming) markTaken(n int) int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	before := in.taken
	in.taken += int64(n)
	in.buffer.releaseBefore(in.taken)
	in.ackSoonLocked()
	if before < in.ackAt && in.taken >= in.ackAt {
		in.changed.Broadcast()
	}
	return in.taken
}

// finish checks the digest, lets the sink finish, reports the receipt, and hands
// the final FILE_ACK to sendAcks.
func (in *incoming) finish(report func(*Receipt, error)) error {
	r := &Receipt{Transfer: in.id, Bytes: in.taken, Digest: in.hash.Sum()}
	in.mu.Lock()
	done, complete := in.done, in.completeLocked()
	in.mu.Unlock()
	if complete {
		if done.Digest != r.Digest {
			return proto.Errorf(proto.Integrity, "digest mismatch: other data arrived than was sent")
		}
		r.Status = done.Status
		if in.sink.Finish != nil {
			if err := in.sink.Finish(done.Status); err != nil {
				return proto.IOError(err)
			}
		}
	} else if in.sink.Leave != nil {
		if err := in.sink.Leave(); err != nil {
			return proto.IOError(err)
		}
	}
	var err error
	switch {
	case r.Status == 0:
	case r.Bytes == 0 && in.fed != nil && in.fed():
		err = proto.Errorf(proto.Consumer, "the peer's command took the data and ended with status %d", r.Status)
	default:
		err = proto.Errorf(proto.Producer, "the peer's command ended with status %d: do not trust its data", r.Status)
	}
	report(r, err)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.final = &wire.Ack{Transfer: in.id, Bytes: r.Bytes, Final: true, Digest: &r.Digest}
	in.changed.Broadcast()
	return nil
}

// sendAcks sends FILE_ACKs over a primary link, up to the final one. FILE_RESUME
// comes first, unless it is nil.
func (in *incoming) sendAcks(w *frameWriter, resume *wire.Resume) error {
	if resume != nil {
		if err := w.writeMessage(resume); err != nil {
			return err
		}
	}
	in.forgetAcks()
	for {
		a, err := in.nextAck()
		if err != nil {
			return err
		}
		if err := w.writeMessage(a); err != nil || a.Final {
			return err
		}
	}
}

// forgetAcks prepares for a new primary link: the last FILE_ACK may be lost with the old
// one.
func (in *incoming) forgetAcks() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.acked = 0
	in.ackSoonLocked()
}

// ackSoonLocked has all that was taken from a pipe acknowledged once no more is taken for
// [proto.IdleAck]. A sender to several peers waits for that before it sends FILE_DONE.
func (in *incoming) ackSoonLocked() {
	if in.kind != wire.KindPipe || in.soon || in.taken == in.acked {
		return
	}
	in.soon = true
	before := in.taken
	time.AfterFunc(proto.IdleAck, func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.soon = false
		switch {
		case in.over || in.aborted != nil:
		case in.taken > before:
			in.ackSoonLocked()
		default:
			in.ackNow = true
			in.changed.Broadcast()
		}
	})
}

// nextAck waits until there is enough to acknowledge, or nothing more comes.
func (in *incoming) nextAck() (*wire.Ack, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.ackAt = in.acked + in.every
	for in.taken < in.ackAt && !(in.ackNow && in.taken > in.acked) && in.final == nil && in.lost == nil && in.aborted == nil {
		in.changed.Wait()
	}
	switch {
	case in.aborted != nil:
		return nil, in.aborted
	case in.lost != nil:
		return nil, in.lost
	case in.final != nil:
		return in.final, nil
	}
	in.acked, in.ackNow = in.taken, false
	return &wire.Ack{Transfer: in.id, Bytes: in.taken}, nil
}
