package files

import (
	"sync"

	"mesh/pipe/files/disk"
)

// places are for what the stores of this process keep open until it is published: a file,
// or a folder, which takes two descriptors. A store takes the places of a batch at once,
// and gives each back without waiting for another one.
type places struct {
	mu    sync.Mutex
	given sync.Cond
	most  int
	taken int
}

// open are the places of all stores of this process.
var open = sync.OnceValue(func() *places { return newPlaces(maxPlaces()) })

// maxPlaces leaves most descriptors to sockets and to the folders that files arrive in.
func maxPlaces() int { return min(max((disk.MaxOpen()-disk.MinOpen)/4, 1), maxGroupJobs*4) }

func newPlaces(most int) *places {
	p := &places{most: most}
	p.given.L = &p.mu
	return p
}

// take waits until n places are free, at most all that there are, and takes them. It calls
// hasten before it waits.
func (p *places) take(n int, hasten func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.taken+n > p.most {
		hasten()
		p.given.Wait()
	}
	p.taken += n
}

func (p *places) giveBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	p.given.Broadcast()
}

// awaitGiven waits until a place is given back, and returns false if none is taken.
func (p *places) awaitGiven() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken == 0 {
		return false
	}
	p.given.Wait()
	return true
}
