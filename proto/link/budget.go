package link

import (
	"sync"

	"mesh/proto"
)

// budget is the memory for the windows of all transfers that peers begin at an endpoint.
// Each may make this end hold a window in each direction: data behind a gap, and data
// that it does not acknowledge. The zero value is ready to use.
type budget struct {
	mu   sync.Mutex
	used int64
}

// take returns the window of a transfer that begins: the one that is wanted, but no more
// than a quarter of what is left, so that something is left for the next; and at least
// [proto.MinWindowBytes].
func (b *budget) take(want int64) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := (proto.BudgetBytes - b.used) / 2 // in two directions
	window := max(min(want, left/4), proto.MinWindowBytes)
	b.used += 2 * window
	return window
}

func (b *budget) release(window int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= 2 * window
}
