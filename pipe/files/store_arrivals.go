package files

import (
	"sync"

	"mesh/pipe/digest"
)

// Arrival is a file, a symbolic link or a folder that the sender named, and that
// is complete at the receiver.
type Arrival struct {
	// Name is its name in the destination.
	Name string
	// Folder says that it is a folder. All that was announced in it is there.
	Folder bool
	// Bytes is its size, of a folder the size of all files in it.
	Bytes int64
	// Digest is that of a file, else nil.
	Digest *digest.Digest
	// Stored counts the files and links of it that were stored now. The others
	// were there already.
	Stored int64
}

// arrival is a folder that is not complete yet. The receiver and the store use it
// at once.
type arrival struct {
	mu         sync.Mutex
	all        Arrival
	incomplete bool // something in it is not stored
}

// count counts a file or a link in the folder.
func (a *arrival) count(f Arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all.Bytes += f.Bytes
	a.all.Stored += f.Stored
}

// markIncomplete notes that something in the folder is not stored. A nil arrival
// is the destination, which nobody waits for.
func (a *arrival) markIncomplete() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.incomplete = true
}

// finished returns what has arrived, and whether all of it is stored.
func (a *arrival) finished() (Arrival, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.all, !a.incomplete
}

// maxArrivals bounds the arrivals that wait until their names are durable.
const maxArrivals = 4096

// arrivals are complete, and announced once they are durable.
type arrivals struct {
	announce func(Arrival) error // nil if nobody wants to know
	waiting  []Arrival
}

func (a *arrivals) add(arrived Arrival) {
	if a.announce != nil {
		a.waiting = append(a.waiting, arrived)
	}
}

// announceAll announces what waits, in the order in which it arrived. The caller
// has made it durable.
func (a *arrivals) announceAll() error {
	waiting := a.waiting
	a.waiting = nil
	for _, arrived := range waiting {
		if err := a.announce(arrived); err != nil {
			return err
		}
	}
	return nil
}
