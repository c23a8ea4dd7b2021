package pipe

import (
	"mesh/proto"
	"mesh/proto/wire"
)

// sendOn writes the subflow's part of the transfer to its link, and returns when
// the transfer has ended. The primary subflow begins with FILE_META and ends with
// FILE_DONE.
func (o *outgoing) sendOn(w *frameWriter, f *subflow) error {
	if f.primary && !f.metaSent {
		if err := w.writeMessage(&wire.Meta{Transfer: o.id, Kind: o.kind}); err != nil {
			return err
		}
	}
	for {
		f.piece = o.limit.Piece()
		offset, data, done, err := o.nextFrame(f)
		switch {
		case err != nil:
			return err
		case done != nil:
			err = w.writeMessage(done)
		case data == nil:
			return nil
		default:
			o.limit.Take(len(data), f.ended)
			if err = w.writeChunk(offset, data); err == nil {
				o.chunkWritten(f)
			}
		}
		if err != nil {
			return err
		}
	}
}

// nextFrame waits for what the subflow has to send next: data, or FILE_DONE, or
// neither when the transfer has ended.
func (o *outgoing) nextFrame(f *subflow) (offset int64, data []byte, done *wire.Done, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for ; ; o.changed.Wait() {
		switch {
		case o.aborted != nil:
			return 0, nil, nil, o.aborted
		case f.lost != nil:
			return 0, nil, nil, f.lost
		case o.final != nil:
			return 0, nil, nil, nil
		case o.state.awaitsResume:
			continue
		}
		if o.claimLocked(f) {
			data, err := o.bytesAtLocked(f.claimed.from, f)
			if err != nil {
				return 0, nil, nil, proto.IOError(err)
			}
			return f.claimed.from, data[:f.claimed.to-f.claimed.from], nil, nil
		}
		if o.mayEndLocked() && f.primary && !f.doneSent {
			f.doneSent = true
			return 0, nil, &wire.Done{Transfer: o.id, Bytes: o.buffer.end, Digest: o.digestLocked(), Status: o.status}, nil
		}
	}
}

// mayEndLocked reports whether FILE_DONE may go out: all was sent, and a transfer to several
// peers may be published.
func (o *outgoing) mayEndLocked() bool {
	return o.eof && o.state.next == o.buffer.end && (o.branch == nil || o.branch.open)
}

// claimLocked claims bytes for the subflow, and reports whether there are any.
func (o *outgoing) claimLocked(f *subflow) bool {
	before := o.state.next
	o.state.claim(f, o.buffer.end, o.eof)
	if o.state.next > before {
		if o.branch != nil {
			o.branch.note(o)
		}
		o.changed.Broadcast() // the source may be read further
	}
	return f.claimed.to > 0
}

// chunkWritten records that the subflow's link took its claimed bytes.
func (o *outgoing) chunkWritten(f *subflow) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.state.markWritten(f)
	o.releaseLocked()
}

var errDigest = proto.Errorf(proto.Integrity, "digest mismatch: the peer received other data than was sent")

// handleAck takes a FILE_ACK.
func (o *outgoing) handleAck(a *wire.Ack) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.final != nil && a.Final && *a.Digest == *o.final.Digest {
		return nil // repeated over another link
	}
	if a.Transfer != o.id || o.final != nil || !o.state.mayAcknowledge(a.Bytes) {
		return proto.Errorf(proto.Protocol, "%s out of order", a.Type())
	}
	// Before acked moves: at no moment may a transfer with a wrong digest look complete.
	known := o.branch == nil || o.eof // the digest of all data; else receipt compares it
	if a.Final && a.Bytes == o.buffer.end && known && *a.Digest != o.digestLocked() {
		return errDigest
	}
	o.moved.add(a.Bytes - o.state.acked)
	o.state.acknowledge(a.Bytes)
	if a.Final {
		o.final = a
	}
	o.releaseLocked()
	o.changed.Broadcast()
	return nil
}
