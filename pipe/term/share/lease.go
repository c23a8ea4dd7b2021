package share

import (
	"time"

	"mesh/pipe/term/keys"
)

// acquire waits until t may type, and gives it the lease. It returns false if the
// session ends or t may type no longer. It is called with mu held, and releases it
// while it waits.
func (a *arbiter) acquire(t *typist) bool {
	t.waits = true
	defer func() { t.waits = false }()
	interrupts := t.interrupts
	for {
		now := time.Now()
		switch {
		case a.closed || t.ignored():
			return false
		case t.interrupts != interrupts: // the caller drops the input
			return true
		case a.queued >= maxQueue, a.holder != t && a.isBusy(a.holder):
			a.cond.Wait()
			continue
		case a.holder == nil || a.holder == t || !now.Before(a.leaseEnd()):
			if h := a.holder; h != nil && h != t && h.inPaste() { // it paused within a paste
				a.endPaste("another viewer types")
				h.dropPaste = !h.local
			}
			a.lease(t, now)
			return true
		}
		timer := time.AfterFunc(a.leaseEnd().Sub(now), func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.cond.Broadcast()
		})
		a.cond.Wait()
		timer.Stop()
	}
}

// isBusy reports whether a typist has input that the terminal has not accepted: it does
// not pause, but the terminal is slow. It is called with mu held.
func (a *arbiter) isBusy(t *typist) bool { return t != nil && (t.waits || t.queued > 0) }

// interrupt drops the flood that t has sent before its key Ctrl-C, which follows. It
// does nothing if there is no flood.
func (a *arbiter) interrupt(t *typist) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.queued <= floodQueue {
		return
	}
	t.interrupts++
	a.drop(func(p piece) bool { return p.by == t })
	if t.inPaste() {
		t.dropPaste = true
		a.push(t, []byte(keys.PasteEnd))
	}
}

// interruptsOf returns the number of the last interrupt.
func (a *arbiter) interruptsOf(t *typist) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return t.interrupts
}

// lease gives t the terminal from now on. It is called with mu held.
func (a *arbiter) lease(t *typist, now time.Time) {
	if a.holder != t || !now.Before(a.leaseEnd()) {
		t.pasted = false
	}
	a.holder, a.until = t, now.Add(leaseTime)
}

// leaseEnd returns when the holder's lease ends. A paste prolongs it, also one that is not
// marked as such but fills whole frames. A shorter frame may be the last one of that, or
// come from a viewer that is slow.
func (a *arbiter) leaseEnd() time.Time {
	switch {
	case a.holder.inPaste():
		return a.until.Add(pasteTime - leaseTime)
	case a.holder.fullInput:
		return a.until.Add(unmarkedTime - leaseTime)
	case a.holder.pasted:
		return a.until.Add(pasteTime - leaseTime)
	}
	return a.until
}

// endPaste ends a paste of the holder, who is told why, and has the rest of it dropped.
// It is called with mu held.
func (a *arbiter) endPaste(why string) {
	if h := a.holder; h != nil && h.inPaste() {
		h.dropPaste = true
		a.push(h, []byte(keys.PasteEnd))
		h.tell(why + ": the rest of your paste is dropped")
	}
}

// pause drops the input of viewers that the terminal has not accepted, and ends a
// paste of theirs.
func (a *arbiter) pause() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(func(p piece) bool { return p.by != nil && !p.by.local })
	if a.holder != nil && !a.holder.local {
		a.endPaste("the sharer has paused the output")
	}
}

// leave drops the input of a typist that leaves, and ignores t from now on.
func (a *arbiter) leave(t *typist) {
	t.gone.Store(true)
	a.dropInput(t)
}

// dropInput drops the input of a typist that is ignored from now on, as far as the
// terminal has not accepted it, and takes the lease from t.
func (a *arbiter) dropInput(t *typist) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(func(p piece) bool { return p.by == t })
	if a.holder == t {
		if t.inPaste() {
			a.push(t, []byte(keys.PasteEnd))
		}
		a.holder = nil
		a.cond.Broadcast()
	}
	t.filter = keys.Filter{}
}
