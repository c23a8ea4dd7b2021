package share

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"mesh/pipe/term/keys"
)

const (
	// leaseTime is how long nobody else is let in behind what somebody typed.
	leaseTime = 250 * time.Millisecond
	// pasteTime is how long a paste may stop before it counts as ended, and
	// heldTime how long a sequence whose end does not come is waited for.
	pasteTime = 2 * time.Second
	heldTime  = 50 * time.Millisecond
	// maxQueue bounds what was typed and not yet taken by the terminal, in bytes;
	// floodQueue is how much of it is dropped when the sharer types.
	maxQueue   = 64 << 10
	floodQueue = 4 << 10
)

// arbiter brings what several type into one order. Whoever types has the
// terminal alone for a moment, and for the whole of a paste; the sharer's own
// keyboard waits for nobody.
type arbiter struct {
	session *Session
	sharer  *typist

	mu      sync.Mutex
	changed sync.Cond // on mu
	queue   []piece
	queued  int // bytes
	holder  *typist
	until   time.Time // of the holder's lease
	closed  bool
}

// piece is a part of the queue; by is nil for the emulator's answers.
type piece struct {
	by    *typist
	bytes []byte
}

func newArbiter(s *Session) *arbiter {
	a := &arbiter{session: s, sharer: &typist{label: "sharer", local: true}}
	a.changed.L = &a.mu
	return a
}

func (a *arbiter) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.changed.Broadcast()
}

// run types what is queued until the arbiter is closed. It may be left in a
// write to a terminal that nobody reads from.
func (a *arbiter) run() {
	for {
		a.mu.Lock()
		for len(a.queue) == 0 && !a.closed {
			a.changed.Wait()
		}
		if a.closed {
			a.mu.Unlock()
			return
		}
		p := a.queue[0]
		a.mu.Unlock()
		if p.by != nil { // before: it may be what ends the command
			hidden := a.session.o.Hides != nil && a.session.o.Hides()
			a.session.o.Audit.typed(p.by, len(p.bytes), hidden)
		}
		_, err := a.session.o.Input.Write(p.bytes)
		a.mu.Lock()
		if len(a.queue) > 0 && &a.queue[0].bytes[0] == &p.bytes[0] { // it may have been dropped
			a.queue = a.queue[1:]
			a.queued -= len(p.bytes)
		}
		a.changed.Broadcast()
		a.mu.Unlock()
		if err != nil {
			continue // the command's end is noticed elsewhere
		}
		a.session.took(p)
	}
}

// push queues bytes. It is called with mu held.
func (a *arbiter) push(by *typist, p []byte) {
	if len(p) == 0 || a.closed || a.session.o.Input == nil {
		return
	}
	a.queue = append(a.queue, piece{by, slices.Clone(p)})
	a.queued += len(p)
	a.changed.Broadcast()
}

// answer types what the emulator answers. An answer for which there is no room is
// dropped: nobody reads it.
func (a *arbiter) answer(p []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.queued < maxQueue {
		a.push(nil, p)
	}
}

// local types what the sharer's own keyboard sent. A paste of somebody else that
// goes on is ended, and the rest of it dropped; so is a flood that the terminal
// does not take, since this may be what ends it.
func (a *arbiter) local(p []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.sharer
	// The bytes go through as they are. Without keys among them they are what the
	// terminal answers to a program.
	if !t.keys.HasKeys(p) {
		a.push(t, p)
		return
	}
	if a.queued > floodQueue {
		a.drop(func(piece) bool { return true })
	}
	if h := a.holder; h != nil && h != t && h.keys.Pasting() && !h.dropPaste {
		h.dropPaste = true
		a.push(h, []byte(keys.PasteEnd))
	}
	a.holder, a.until = t, time.Now().Add(leaseTime)
	if cols, rows := t.wants(); cols > 0 && a.session.o.Size == SizeWriter {
		a.session.resize(t, cols, rows)
	}
	a.push(t, p)
}

// remote types what a viewer sent. It blocks while others have the terminal, or
// the terminal takes no more. What is unwanted is not typed, but followed, so that it
// is known where a paste ends.
func (a *arbiter) remote(t *typist, p []byte, unwanted bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !unwanted && !a.acquire(t) {
		return
	}
	t.inputs++
	out := t.keys.Pass(p)
	if t.dropPaste {
		out = a.rest(t, out)
	}
	if unwanted || a.session.isPaused() {
		t.dropPaste = t.keys.Pasting()
		return
	}
	if len(out) > 0 {
		if cols, rows := t.wants(); cols > 0 && a.session.o.Size == SizeWriter {
			a.session.resize(t, cols, rows)
		}
		a.push(t, out)
	}
	if len(t.keys.Held()) > 0 {
		inputs := t.inputs
		time.AfterFunc(heldTime, func() { a.release(t, inputs) })
	}
}

// rest returns what comes behind a paste that was ended for its typist.
func (a *arbiter) rest(t *typist, out []byte) []byte {
	if i := bytes.LastIndex(out, []byte(keys.PasteEnd)); i >= 0 {
		t.dropPaste = false
		return out[i+len(keys.PasteEnd):]
	}
	if !t.keys.Pasting() { // it had ended before
		t.dropPaste = false
		return out
	}
	return nil
}

// release types a sequence whose end has not come, unless t has sent more since.
func (a *arbiter) release(t *typist, inputs int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.inputs != inputs || len(t.keys.Held()) == 0 || t.unheard() || a.session.isPaused() {
		return
	}
	if keys := t.keys.Release(); !t.dropPaste {
		a.push(t, keys)
	}
}

// acquire waits until t may type, and gives it the lease. It reports false when
// the session has ended. It is called with mu held.
func (a *arbiter) acquire(t *typist) bool {
	for {
		now := time.Now()
		switch {
		case a.closed || t.unheard():
			return false
		case a.queued >= maxQueue:
			a.changed.Wait()
			continue
		case a.holder == nil || a.holder == t || !now.Before(a.free()):
			if h := a.holder; h != nil && h != t && h.keys.Pasting() && !h.dropPaste {
				h.dropPaste = !h.local
				a.push(h, []byte(keys.PasteEnd)) // it stopped within a paste
			}
			a.holder, a.until = t, now.Add(leaseTime)
			return true
		}
		timer := time.AfterFunc(a.free().Sub(now), func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.changed.Broadcast()
		})
		a.changed.Wait()
		timer.Stop()
	}
}

// free returns when the holder's lease ends.
func (a *arbiter) free() time.Time {
	if a.holder.keys.Pasting() && !a.holder.dropPaste {
		return a.until.Add(pasteTime - leaseTime)
	}
	return a.until
}

// resized takes a viewer's own size. That of who typed last is the terminal's at
// once, where the policy says so.
func (a *arbiter) resized(t *typist, cols, rows int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.unheard() {
		return
	}
	t.size(cols, rows)
	if a.holder == t && a.session.o.Size == SizeWriter {
		a.session.resize(t, cols, rows)
	}
}

// silence takes back what the terminal has not taken of what t typed, who is
// unheard from now on.
func (a *arbiter) silence(t *typist) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(func(p piece) bool { return p.by == t })
	a.forget(t)
}

// pause takes back what viewers typed that the terminal has not taken, and ends a
// paste of theirs that goes on.
func (a *arbiter) pause() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(func(p piece) bool { return p.by != nil && !p.by.local })
	if h := a.holder; h != nil && !h.local && h.keys.Pasting() && !h.dropPaste {
		h.dropPaste = true
		a.push(h, []byte(keys.PasteEnd))
	}
}

// drop drops of the queue what is not wanted. It is called with mu held.
func (a *arbiter) drop(unwanted func(piece) bool) {
	a.queue = slices.DeleteFunc(a.queue, unwanted)
	a.queued = 0
	for _, p := range a.queue {
		a.queued += len(p.bytes)
	}
	a.changed.Broadcast()
}

// leave forgets who typed, and is not there any more.
func (a *arbiter) leave(t *typist) {
	t.gone.Store(true)
	a.silence(t)
}

// forget takes the terminal from t: a paste of its that goes on is ended. It is
// called with mu held.
func (a *arbiter) forget(t *typist) {
	if a.holder == t {
		if t.keys.Pasting() && !t.dropPaste {
			a.push(t, []byte(keys.PasteEnd))
		}
		a.holder = nil
		a.changed.Broadcast()
	}
	t.keys = keys.Filter{}
}
