package pipe

import (
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

// Acknowledged sends what source has, and reports whether the transfer is over for
// the sender when a has come.
func Acknowledged(source *Source, a *wire.Ack) (over bool, err error) {
	o, err := newOutgoing(a.Transfer, wire.KindPipe, source, proto.WindowBytes, 0)
	if err != nil {
		return false, err
	}
	if err := o.readSource(); err != nil {
		return false, err
	}
	for f, done := o.openSubflow(true, false), (*wire.Done)(nil); done == nil; o.chunkWritten(f) {
		if _, _, done, err = o.nextFrame(f); err != nil {
			return false, err
		}
	}
	err = o.handleAck(a)
	return o.final != nil, err
}
