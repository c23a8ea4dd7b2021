package transport

import (
	"context"
	"sync"

	"github.com/quic-go/quic-go"

	"mesh/proto"
)

// Budget is the memory for what peers make an endpoint hold: the windows of the transfers
// that they begin, and what QUIC holds that was not read yet. The zero value is ready to
// use.
type Budget struct {
	mu    sync.Mutex
	used  int64
	grown map[*quic.Conn]int64 // bytes for connections that have not ended
}

// TakeWindow returns the window of a transfer that begins: the one that is wanted, but no
// more than a quarter of what is left, so that something is left for the next; and at
// least [proto.MinWindowBytes]. The transfer may make this end hold a window in each
// direction: data behind a gap, and data that it does not acknowledge.
func (b *Budget) TakeWindow(want int64) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := (proto.BudgetBytes - b.used) / 2 // in two directions
	window := max(min(want, left/4), proto.MinWindowBytes)
	b.used += 2 * window
	return window
}

// ReturnWindow gives back what TakeWindow has taken.
func (b *Budget) ReturnWindow(window int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= 2 * window
}

// mayGrow reports whether the receive window of a QUIC connection may become larger by
// delta, which it then takes from the budget until the connection ends. As in
// TakeWindow, something is left for others.
func (b *Budget) mayGrow(conn *quic.Conn, delta uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if int64(delta) > (proto.BudgetBytes-b.used)/4 {
		return false
	}
	if b.grown == nil {
		b.grown = make(map[*quic.Conn]int64)
	}
	if _, known := b.grown[conn]; !known {
		context.AfterFunc(conn.Context(), func() { b.shrink(conn) })
	}
	b.grown[conn] += int64(delta)
	b.used += int64(delta)
	return true
}

// shrink gives back what a connection has taken.
func (b *Budget) shrink(conn *quic.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= b.grown[conn]
	delete(b.grown, conn)
}
