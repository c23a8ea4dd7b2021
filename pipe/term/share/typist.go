package share

import (
	"sync"
	"sync/atomic"

	"mesh/pipe/term/keys"
)

// typist is who types: a viewer, or the sharer.
type typist struct {
	label     string
	id, addr  string
	number    int
	local     bool
	keys      keys.Filter // guarded by the arbiter's mu
	inputs    int         // that keys has followed; likewise
	dropPaste bool        // the rest of a paste is not wanted; likewise
	muted     atomic.Bool // it may not type
	gone      atomic.Bool // it is not there any more

	mu         sync.Mutex // a leaf: held alone
	cols, rows int
	count      int64 // bytes that the terminal took
	seq        int64 // of the output then
}

// unheard reports whether what it types is worth nothing.
func (t *typist) unheard() bool { return t.muted.Load() || t.gone.Load() }

func (t *typist) size(cols, rows int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cols, t.rows = cols, rows
}

func (t *typist) wants() (cols, rows int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cols, t.rows
}

// taken returns how many bytes of what it typed the terminal took, and where
// the output was then.
func (t *typist) taken() (bytes, seq int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count, t.seq
}
