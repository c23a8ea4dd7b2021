package files

import (
	"strings"

	"mesh/proto"
	"mesh/proto/wire"
)

// order checks each entry against those before it. In every folder, names must
// come in the order of their [fold] and then of their bytes, so that names which some
// system takes for one follow each other, and no list of all names is needed.
type order struct {
	asked                *asked
	progress             *Progress
	maxEntries, maxBytes int64 // 0 for no limit
	last                 int64 // id
	bytes                int64
	in                   []siblings // the destination, then each open folder down to that of the last entry
}

// siblings are the names in a folder.
type siblings struct {
	path string // of the folder, on the wire
	last string // the last name
	fold string // of last
	// rivals are the names before last that have the same fold, at most maxRivals.
	rivals []string
}

// maxRivals bounds the names of one fold in a folder. What comes after them is
// refused.
const maxRivals = 64

// place is where an entry belongs.
type place struct {
	depth  int // how many folders it is in, the destination included
	name   string
	rivals []string // names before it in its folder that some system takes for this one
}

func newOrder(o ReceiveOptions) *order {
	return &order{asked: newAsked(o.Names), progress: o.Progress, maxEntries: o.MaxEntries, maxBytes: o.MaxBytes, in: make([]siblings, 1)}
}

// countEntry checks the number of an entry, and the limits.
func (o *order) countEntry(m *wire.Entry) error {
	if m.ID != o.last+1 {
		return errOrder(m)
	}
	o.last = m.ID
	if !o.asked.takesFirst(m.Path, m.Kind) {
		return errNotAsked(m.Path)
	}
	if o.maxEntries > 0 && m.ID > o.maxEntries {
		return proto.Errorf(proto.Space, "the peer sends more than %d entries", o.maxEntries)
	}
	if m.Kind == wire.EntryFile || m.Kind == wire.EntryLink {
		if m.Size > proto.MaxTransferBytes-o.bytes || o.maxBytes > 0 && o.bytes+m.Size > o.maxBytes {
			return proto.Errorf(proto.Space, "the peer sends more than the %d bytes that are allowed", max(o.maxBytes, 0))
		}
		o.bytes += m.Size
	}
	if m.Kind == wire.EntryFile { // a link announces no bytes of its own
		o.progress.announce(m.Size)
	}
	return nil
}

// placeEntry finds where an entry belongs. Its folder must be the last one that
// was announced, or one that this one is in. The path must have passed
// [CheckPath].
func (o *order) placeEntry(m *wire.Entry) (place, error) {
	dir, name := "", m.Path
	if i := strings.LastIndexByte(m.Path, '/'); i >= 0 {
		dir, name = m.Path[:i], m.Path[i+1:]
	}
	for len(o.in) > 1 && o.in[len(o.in)-1].path != dir {
		o.in = o.in[:len(o.in)-1]
	}
	at := place{depth: len(o.in), name: name}
	in := &o.in[at.depth-1]
	folded := fold(name)
	if in.path != dir || folded < in.fold || folded == in.fold && name <= in.last {
		return place{}, errOrder(m)
	}
	switch {
	case folded != in.fold:
		in.rivals = nil
	case len(in.rivals) < maxRivals:
		in.rivals = append(in.rivals, in.last)
	}
	at.rivals = in.rivals
	in.last, in.fold = name, folded
	if m.Kind == wire.EntryFolder {
		o.in = append(o.in, siblings{path: m.Path})
	}
	return at, nil
}
