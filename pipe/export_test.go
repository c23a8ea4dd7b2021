package pipe

import (
	"time"

	"mesh/proto"
	"mesh/proto/wire"
)

// Assembly is what chunks are put together in.
type Assembly struct{ assembly }

// The methods of assembly.
func (a *Assembly) Claim(offset int64, n int) ([]byte, int, error) { return a.claim(offset, n) }
func (a *Assembly) Filled(offset int64, n int)                     { a.filled(offset, n) }
func (a *Assembly) At(offset int64) []byte                         { return a.at(offset) }
func (a *Assembly) Release(offset int64)                           { a.release(offset) }
func (a *Assembly) End() int64                                     { return a.end }
func (a *Assembly) Last() int64                                    { return a.last() }

// Blocks returns how many blocks are held, the free ones included.
func (a *Assembly) Blocks() int {
	n := len(a.free)
	for _, b := range a.blocks {
		if b != nil {
			n++
		}
	}
	return n
}

// Gauge decides how many flows there are.
type Gauge struct{ gauge }

// Wants is the method of gauge.
func (g *Gauge) Wants(now time.Time, moved int64, worth bool) int { return g.wants(now, moved, worth) }

// Acknowledged sends what source has, and reports whether the transfer is over for
// the sender when a has come.
func Acknowledged(source *Source, a *wire.Ack) (over bool, err error) {
	o, err := newOutgoing(a.Transfer, wire.KindPipe, source, proto.WindowBytes, 0)
	if err != nil {
		return false, err
	}
	if err := o.fill(); err != nil {
		return false, err
	}
	for l, done := o.open(true, false), (*wire.Done)(nil); done == nil; o.written(l) {
		if _, _, done, err = o.next(l); err != nil {
			return false, err
		}
	}
	err = o.ack(a)
	return o.final != nil, err
}
