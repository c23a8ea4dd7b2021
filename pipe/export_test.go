package pipe

import (
	"fmt"
	"slices"
	"time"

	"mesh/proto"
	"mesh/proto/wire"
)

// Reassembly is the reassembly buffer.
type Reassembly struct{ reassembly }

// The methods of reassembly.
func (r *Reassembly) Claim(offset int64, n int) ([]byte, int, error) { return r.claim(offset, n) }
func (r *Reassembly) Commit(offset int64, n int)                     { r.commit(offset, n) }
func (r *Reassembly) BytesAt(offset int64) []byte                    { return r.bytesAt(offset) }
func (r *Reassembly) ReleaseBefore(offset int64)                     { r.releaseBefore(offset) }
func (r *Reassembly) End() int64                                     { return r.end }
func (r *Reassembly) Highest() int64                                 { return r.highest() }

// Check returns an error if an invariant of reassembly does not hold.
func (r *Reassembly) Check() error {
	if r.start%blockBytes != 0 || r.start > r.end || r.end > r.highest() {
		return fmt.Errorf("start %d, end %d, highest %d: out of order", r.start, r.end, r.highest())
	}
	present := r.start // behind the bytes that are present without a gap
	for i, b := range r.blocks {
		if b == nil {
			continue
		}
		offset := r.start + int64(i)*blockBytes
		last := piece{from: -1, to: -1}
		for _, p := range b.pieces {
			if p.from < last.to || p.to <= p.from || p.to > blockBytes || p.from == last.to && p.present && last.present {
				return fmt.Errorf("block at %d: pieces %v overlap, are empty or not merged", offset, b.pieces)
			}
			if p.present && offset+int64(p.from) == present {
				present = offset + int64(p.to)
			}
			last = p
		}
	}
	if present != r.end {
		return fmt.Errorf("end is %d, and the bytes to %d are present", r.end, present)
	}
	return nil
}

// Blocks returns how many blocks are held, the free ones included.
func (r *Reassembly) Blocks() int {
	n := len(r.free)
	for _, b := range r.blocks {
		if b != nil {
			n++
		}
	}
	return n
}

// FlowTuner decides how many flows there are.
type FlowTuner struct{ flowTuner }

// WantedFlows is the method of flowTuner.
func (t *FlowTuner) WantedFlows(now time.Time, moved int64, worth bool) int {
	return t.wantedFlows(now, moved, worth)
}

// Acknowledged sends the source's bytes, handles a, and reports whether the transfer is
// over for the sender then.
func Acknowledged(source *Source, a *wire.Ack) (over bool, err error) {
	o, err := newOutgoing(a.Transfer, wire.KindPipe, source, proto.WindowBytes, 0)
	if err != nil {
		return false, err
	}
	if err := o.readSource(); err != nil {
		return false, err
	}
	for f, done := o.openSubflow(proto.ViaTCP, true, false), (*wire.Done)(nil); done == nil; o.chunkWritten(f) {
		if _, _, done, err = o.nextFrame(f); err != nil {
			return false, err
		}
	}
	err = o.handleAck(a)
	return o.final != nil, err
}

// SendState is the state of an outgoing transfer, with the end of its buffer.
type SendState struct {
	sendState
	End  int64
	EOF  bool
	held int64 // what the last FILE_RESUME reported
}

// Subflow is a subflow of a SendState.
type Subflow = subflow

// NewSendState returns the state of a transfer that has not begun.
func NewSendState(window int64) *SendState { return &SendState{sendState: sendState{window: window}} }

// The methods and fields of sendState.
func (s *SendState) AddSubflow(via string, primary bool) *Subflow {
	return s.addSubflow(via, primary)
}
func (s *SendState) RemoveSubflow(f *Subflow)            { s.removeSubflow(f) }
func (s *SendState) MarkWritten(f *Subflow)              { s.markWritten(f) }
func (s *SendState) MayAcknowledge(offset int64) bool    { return s.mayAcknowledge(offset) }
func (s *SendState) Acknowledge(offset int64)            { s.acknowledge(offset) }
func (s *SendState) Releasable() int64                   { return s.releasable() }
func (s *SendState) Acked() int64                        { return s.acked }
func (s *SendState) Next() int64                         { return s.next }
func (s *SendState) Highest() int64                      { return s.highest }
func (s *SendState) AwaitResume()                        { s.awaitsResume = true }
func (s *SendState) Claimed(f *Subflow) (from, to int64) { return f.claimed.from, f.claimed.to }

// SmallFirst is the method of subflow.
func SmallFirst(f *Subflow) { f.smallFirst() }

// ResumeAt is the method of sendState.
func (s *SendState) ResumeAt(offset int64) bool {
	ok := s.resumeAt(offset)
	if ok {
		s.held = offset
	}
	return ok
}

// Claim claims bytes for a subflow and returns them.
func (s *SendState) Claim(f *Subflow) (from, to int64) {
	s.claim(f, s.End, s.EOF)
	return f.claimed.from, f.claimed.to
}

// Check returns an error if an invariant of sendState does not hold.
func (s *SendState) Check() error {
	if s.acked < 0 || s.acked > s.next || s.next > s.highest || s.highest > s.End || s.next > s.acked+s.window {
		return fmt.Errorf("acked %d, next %d, highest %d, end %d, window %d: out of order", s.acked, s.next, s.highest, s.End, s.window)
	}
	spans := slices.Clone(s.retransmit)
	for _, f := range s.subflows {
		if s.awaitsResume && (f.claimed.to > 0 || len(f.written) > 0) {
			return fmt.Errorf("a subflow has bytes before FILE_RESUME")
		}
		spans = append(spans, f.written...)
		if f.claimed.to > 0 {
			spans = append(spans, f.claimed)
		}
	}
	if s.awaitsResume {
		return nil
	}
	slices.SortFunc(spans, func(a, b span) int { return int(a.from - b.from) })
	at := max(s.acked, s.held)
	for _, p := range trimSpans(spans, at) {
		if p.from != at || p.to <= p.from {
			return fmt.Errorf("bytes %d to %d have two places or none (spans %v, acked %d, next %d)", min(at, p.from), max(at, p.from), spans, s.acked, s.next)
		}
		at = p.to
	}
	if at != max(s.next, s.held) {
		return fmt.Errorf("bytes %d to %d are nowhere", at, s.next)
	}
	return nil
}
