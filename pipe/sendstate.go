package pipe

import (
	"slices"

	"mesh/proto"
)

// span is the bytes of a transfer from offset from up to, but not including, to.
type span struct{ from, to int64 }

// sendState is how far an outgoing transfer has come, as offsets of its bytes. In
// parentheses are the names of RFC 9293, section 3.3.1.
//
//		0 ≤ acked (SND.UNA) ≤ next (SND.NXT) ≤ highest ≤ end of the send buffer
//		next ≤ acked + window (SND.WND)
//
//	  - Bytes before acked were taken by the peer's consumer.
//	  - Bytes from acked to next were handed to subflows. Each is in exactly one
//	    place: claimed or written by one live subflow; in retransmit, since its
//	    subflow was lost; or at the peer, which reported it in the last FILE_RESUME.
//	  - Bytes from next on have yet to be sent, those before highest once more:
//	    highest is the most that next ever was. After a resume, next goes back to
//	    the peer's offset.
//
// While awaitsResume is set, the peer's offset is unknown: nothing is claimed, no
// acknowledgement is valid, and no subflow has bytes.
//
// It does no I/O and is not safe for more than one goroutine.
type sendState struct {
	window       int64
	acked        int64
	next         int64
	highest      int64
	retransmit   []span // in order
	subflows     []*subflow
	awaitsResume bool
}

// subflow is the sender's view of one live link. It belongs to a [sendState].
type subflow struct {
	via      string // its transport
	primary  bool   // gets all bytes, not only whole blocks, and FILE_META and FILE_DONE
	claimed  span   // being written to the link; empty when to is 0
	written  []span // written, and not all of it acknowledged; in order
	metaSent bool
	doneSent bool
	lost     error         // why the link is no more
	ended    chan struct{} // closed when the link is lost
	piece    int64         // the most bytes that it claims at a time; 0 for no bound
	scratch  []byte        // for blocks that are read back from a spool
	// chunk is the most bytes that a subflow claims at a time. It doubles with each claim up
	// to a block; 0 stands for a block. The consumer has a gap after a link that was replaced. A chunk in small pieces
	// ends that gap sooner: a whole block takes several round trips of a slow start.
	chunk int64
}

// firstChunkBytes is the first chunk of a link on which a transfer goes on.
const firstChunkBytes = 16 << 10

// smallFirst makes the first chunks of a subflow small.
func (f *subflow) smallFirst() { f.chunk = firstChunkBytes }

// take claims the first bytes of a span for the subflow.
func (f *subflow) take(p span) {
	if f.piece > 0 {
		p.to = min(p.to, p.from+f.piece)
	}
	if f.chunk > 0 {
		p.to = min(p.to, p.from+f.chunk)
		f.chunk = min(2*f.chunk, blockBytes)
	}
	f.claimed = p
}

// addSubflow adds a subflow for a new link over the transport via.
func (s *sendState) addSubflow(via string, primary bool) *subflow {
	f := &subflow{via: via, primary: primary, ended: make(chan struct{})}
	s.subflows = append(s.subflows, f)
	return f
}

// removeSubflow forgets a subflow whose link was lost, and schedules its
// unacknowledged bytes to be sent again.
func (s *sendState) removeSubflow(f *subflow) {
	s.subflows = slices.DeleteFunc(s.subflows, func(other *subflow) bool { return other == f })
	s.retransmit = append(s.retransmit, f.written...)
	if f.claimed.to > f.claimed.from {
		s.retransmit = append(s.retransmit, f.claimed)
	}
	slices.SortFunc(s.retransmit, func(a, b span) int { return int(a.from - b.from) })
	s.retransmit = trimSpans(s.retransmit, s.acked)
}

// resumeAt continues at the offset that the peer has received all bytes before.
// It reports whether such an offset was due and possible.
func (s *sendState) resumeAt(offset int64) bool {
	if !s.awaitsResume || offset < s.acked || offset > s.highest {
		return false
	}
	s.awaitsResume, s.next, s.retransmit = false, offset, nil
	return true
}

// mayAcknowledge reports whether the peer may acknowledge the bytes before offset.
// After a resume that may be past next: the peer had bytes behind a gap.
func (s *sendState) mayAcknowledge(offset int64) bool {
	return !s.awaitsResume && s.acked <= offset && offset <= s.highest
}

// acknowledge records that the peer's consumer took the bytes before offset.
func (s *sendState) acknowledge(offset int64) {
	s.acked = offset
	s.next = max(s.next, offset)
	s.retransmit = trimSpans(s.retransmit, offset)
}

// claim assigns the next bytes of one block to a subflow; its claimed span is
// empty if there are none. end is that of the send buffer, eof says that it is
// final. Only the primary subflow gets bytes of a block that is still being
// filled: a slow source then uses one link, and its bytes arrive in order. A
// primary subflow over QUIC claims no whole blocks beside one over TCP.
func (s *sendState) claim(f *subflow, end int64, eof bool) {
	f.claimed = span{}
	if len(s.retransmit) > 0 {
		first := &s.retransmit[0]
		f.take(span{first.from, min(first.to, blockEnd(first.from))})
		if first.from = f.claimed.to; first.from == first.to {
			s.retransmit = s.retransmit[1:]
		}
		return
	}
	fresh := span{s.next, min(end, blockEnd(s.next), s.acked+s.window)}
	whole := fresh.to == blockEnd(fresh.from)
	if fresh.to <= fresh.from || !f.primary && !whole && !eof || f.primary && whole && s.leavesBulk(f) {
		return
	}
	f.take(fresh)
	s.next = f.claimed.to
	s.highest = max(s.highest, s.next)
}

// leavesBulk reports whether a primary subflow leaves whole blocks to others: it is
// over QUIC, and one over TCP has joined it. Two congestion controllers on one path
// would take the rate from each other, and TCP needs less processor time.
func (s *sendState) leavesBulk(f *subflow) bool {
	return f.via == proto.ViaQUIC && slices.ContainsFunc(s.subflows, func(other *subflow) bool { return other.via == proto.ViaTCP })
}

// markWritten moves the subflow's claimed bytes to its written ones.
func (s *sendState) markWritten(f *subflow) {
	if n := len(f.written); n > 0 && f.written[n-1].to == f.claimed.from {
		f.written[n-1].to = f.claimed.to
	} else {
		f.written = append(f.written, f.claimed)
	}
	f.claimed = span{}
	f.written = trimSpans(f.written, s.acked)
}

// releasable returns the offset before which no byte is needed any more. It
// spares what a subflow is writing: the peer may acknowledge those bytes before
// the write returns.
func (s *sendState) releasable() int64 {
	offset := s.acked
	for _, f := range s.subflows {
		if f.claimed.to > 0 {
			offset = min(offset, f.claimed.from)
		}
	}
	return offset
}

// trimSpans removes the bytes before acked from spans, which are in order.
func trimSpans(spans []span, acked int64) []span {
	for len(spans) > 0 && spans[0].to <= acked {
		spans = spans[1:]
	}
	if len(spans) > 0 {
		spans[0].from = max(spans[0].from, acked)
	}
	return spans
}

// blockEnd returns where the block with the byte at offset ends.
func blockEnd(offset int64) int64 { return offset - offset%blockBytes + blockBytes }
