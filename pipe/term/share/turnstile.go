package share

import "sync"

// turnstile is a mutex that nobody gets twice while somebody else waits. A plain
// one goes, for a millisecond, to whoever gives it back and wants it again at
// once, as the reader of a flood does.
type turnstile struct {
	next sync.Mutex // held by who is the next to get in
	in   sync.Mutex
}

// Lock locks it, and blocks until it is there.
func (t *turnstile) Lock() {
	t.next.Lock()
	t.in.Lock()
	t.next.Unlock()
}

// Unlock unlocks it.
func (t *turnstile) Unlock() { t.in.Unlock() }
