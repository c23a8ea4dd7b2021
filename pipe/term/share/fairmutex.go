package share

import "sync"

// fairMutex is a mutex that its holder does not get again while another goroutine
// waits. A [sync.Mutex] prefers, for a millisecond, the goroutine that unlocks it and
// locks it again at once, as the reader of a flood does.
type fairMutex struct {
	next sync.Mutex // held by the goroutine that is next to lock in
	in   sync.Mutex
}

// Lock locks the mutex.
func (m *fairMutex) Lock() {
	m.next.Lock()
	m.in.Lock()
	m.next.Unlock()
}

// Unlock unlocks the mutex.
func (m *fairMutex) Unlock() { m.in.Unlock() }
