package share

import (
	"bytes"
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
	filter     keys.Filter
	inputs     int       // how many inputs filter has followed
	dropPaste  bool      // drop the rest of a paste
	dropFlood  bool      // drop what follows without a pause
	lastInput  time.Time // when the last input was handled
	fullInput  bool      // it was as long as can be: more is to come
	pasted     bool      // since the last pause there was such an input
	received   int64     // bytes of input that were handled
	queued     int       // bytes in the queue
	waits      bool      // for the terminal
	interrupts int       // how often the typist has dropped its own flood

	mu         sync.Mutex // a leaf; guards what follows
	cols, rows int        // of its own terminal; 0 if unknown
	count      int64      // bytes that the terminal accepted
	settled    int64      // bytes of input that it accepted, or that were dropped
	seq        int64      // the position of the output then
	notice     string     // to show to the typist
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

// inFlood reports whether input that is handled now belongs to a flood that is dropped.
func (t *typist) inFlood(now time.Time) bool {
	return t.dropFlood && now.Sub(t.lastInput) < floodPause
}

// accept notes that the terminal has accepted n bytes, and so all input before through,
// when the output was at seq.
func (t *typist) accept(n int, through, seq int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count += int64(n)
	t.settled = max(t.settled, through)
	t.seq = seq
}

// settle notes that nothing of the input before through is still to be typed.
func (t *typist) settle(through int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settled = max(t.settled, through)
}

// accepted returns how many bytes the terminal has accepted.
func (t *typist) accepted() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count
}

// confirmed returns how many bytes of its input the terminal has accepted, or were
// dropped, and the position of the output when the last were accepted.
func (t *typist) confirmed() (bytes, seq int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.settled, t.seq
}

// tell has a notice shown to a viewer.
func (t *typist) tell(notice string) {
	t.mu.Lock()
	t.notice = notice
	t.mu.Unlock()
	if t.notify != nil {
		t.notify()
	}
}

// hasNotice reports whether takeNotice returns one.
func (t *typist) hasNotice() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.notice != ""
}

// takeNotice returns and clears the notice.
func (t *typist) takeNotice() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	notice := t.notice
	t.notice = ""
	return notice
}

// afterPaste returns the part of out after the paste that is dropped.
func (t *typist) afterPaste(out []byte) []byte {
	if i := bytes.LastIndex(out, []byte(keys.PasteEnd)); i >= 0 {
		t.dropPaste = false
		return out[i+len(keys.PasteEnd):]
	}
	if !t.filter.Pasting() { // it had ended before
		t.dropPaste = false
		return out
	}
	return nil
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
