package share

import (
	"time"

	"mesh/pipe/term/vt"
	"mesh/proto"
)

// SizeTime is the least time between two sizes that a viewer sets.
const SizeTime = 50 * time.Millisecond

// SizePolicy says whose size the terminal has.
type SizePolicy int

// The policies: the size of the sharer's own terminal, that of the last one who typed,
// or a fixed size.
const (
	SizeSharer SizePolicy = iota
	SizeWriter
	SizeFixed
)

// ClampSize limits a size to what a terminal and its messages can have.
func ClampSize(cols, rows int) (int, int) {
	return min(max(cols, vt.MinCols), proto.MaxTermCols), min(max(rows, vt.MinRows), proto.MaxTermRows)
}

// followSize gives the terminal the size of t's own terminal, under [SizeWriter]. It is
// called with mu held.
func (a *arbiter) followSize(t *typist) {
	if a.options.Size != SizeWriter {
		return
	}
	if cols, rows := t.ownSize(); cols > 0 {
		a.output.resize(t, cols, rows)
	}
}

// resizeLocal sets the size of the sharer's own terminal.
func (a *arbiter) resizeLocal(cols, rows int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sharer.setOwnSize(cols, rows)
	if a.options.Size == SizeSharer || a.options.Size == SizeWriter && (a.holder == nil || a.holder == a.sharer) {
		a.output.resize(a.sharer, cols, rows)
	}
}

// resizeRemote sets the size of a viewer's own terminal.
func (a *arbiter) resizeRemote(t *typist, cols, rows int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.ignored() {
		return
	}
	t.setOwnSize(cols, rows)
	if a.holder == t && a.options.Size == SizeWriter {
		a.output.resize(t, cols, rows)
	}
}
