package share

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mesh/pipe/term/keys"
)

// typist is someone who types: a viewer, or the sharer.
type typist struct {
	label    string
	id, addr string
	local    bool        // the sharer
	notify   func()      // called when the terminal has accepted input; nil for the sharer
	muted    atomic.Bool // may not type
	gone     atomic.Bool // has left

	// Guarded by arbiter.mu.
	filter    keys.Filter
	inputs    int  // how many inputs filter has followed
	dropPaste bool // drop the rest of a paste

	mu         sync.Mutex // a leaf; guards what follows
	cols, rows int        // of its own terminal; 0 if unknown
	count      int64      // bytes that the terminal accepted
	seq        int64      // the position of the output then
}

// ignored reports whether its input is dropped.
func (t *typist) ignored() bool { return t.muted.Load() || t.gone.Load() }

// inPaste reports whether its input ends within a paste that is not dropped.
func (t *typist) inPaste() bool { return t.filter.Pasting() && !t.dropPaste }

func (t *typist) setOwnSize(cols, rows int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cols, t.rows = cols, rows
}

func (t *typist) ownSize() (cols, rows int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cols, t.rows
}

// accept notes that the terminal has accepted n bytes, when the output was at seq.
func (t *typist) accept(n int, seq int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count += int64(n)
	t.seq = seq
}

// accepted returns how many bytes of its input the terminal has accepted, and the
// position of the output then.
func (t *typist) accepted() (bytes, seq int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count, t.seq
}

// recentTime is how long somebody counts as typing.
const recentTime = 5 * time.Second

// recent are the viewers that typed lately.
type recent struct {
	mu   sync.Mutex // a leaf
	list []typedAt
}

type typedAt struct {
	by *typist
	at time.Time
}

// note notes that t types, and reports whether t did not do so lately. The sharer, who
// may always type, is not noted.
func (r *recent) note(t *typist, now time.Time) (isNew bool) {
	if t.local {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.list {
		if r.list[i].by == t {
			isNew = now.Sub(r.list[i].at) >= recentTime
			r.list[i].at = now
			return isNew
		}
	}
	r.list = append(r.list, typedAt{t, now})
	return true
}

// names returns the labels of those who typed lately.
func (r *recent) names(now time.Time) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = slices.DeleteFunc(r.list, func(l typedAt) bool { return now.Sub(l.at) >= recentTime })
	var names []string
	for _, l := range r.list {
		names = append(names, l.by.label)
	}
	return names
}
