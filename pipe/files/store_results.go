package files

import (
	"sync"

	"mesh/proto"
	"mesh/proto/wire"
)

// storeResults is what the store tells the receiver. Both use it at once.
type storeResults struct {
	mu      sync.Mutex
	stored  int64
	bytes   int64          // in the files that are stored
	refused []wire.Refused // not taken by takeRefused yet
	reasons []error        // of refused
	err     error          // nothing more can be stored
}

// countStored counts a file or a link that is in a folder by now, and how many files
// are stored by it as far as the sender may know, with their bytes. It reports whether
// that is an arrival by itself, and not part of a folder that will be one.
func (r *storeResults) countStored(in *folder, a Arrival, stored, bytes int64) (alone bool) {
	r.mu.Lock()
	r.stored += stored
	r.bytes = addBytes(r.bytes, bytes)
	r.mu.Unlock()
	if in.top == nil {
		return true
	}
	in.top.count(a)
	return false
}

func (r *storeResults) count() (stored, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stored, r.bytes
}

// refuse notes that the file of a part is not stored.
func (r *storeResults) refuse(p *part, err error) { r.refuseEntry(p.folder, p.entry, err) }

// refuseEntry notes that an entry in a folder is not stored.
func (r *storeResults) refuseEntry(in *folder, e *wire.Entry, err error) {
	in.top.markIncomplete()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = append(r.refused, wire.Refused{Path: e.Path, Code: proto.CodeOf(err)})
	r.reasons = append(r.reasons, err)
}

// takeRefused returns what was refused since the last call, and why.
func (r *storeResults) takeRefused() ([]wire.Refused, []error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	refused, reasons := r.refused, r.reasons
	r.refused, r.reasons = nil, nil
	return refused, reasons
}

// fail notes why the store has failed. The first reason stays; nil is none.
func (r *storeResults) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

func (r *storeResults) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}
