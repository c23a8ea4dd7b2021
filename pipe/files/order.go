package files

import (
	"strings"

	"mesh/proto"
	"mesh/proto/wire"
)

// order checks what is announced against what came before it. In every folder
// names come in the order of what [fold] makes of them, so that two that some
// system takes for one follow each other, and no list of names is kept.
type order struct {
	o     ReceiveOptions
	last  int64 // id
	bytes int64
	in    []siblings // where all is, and the folders that the entry announced last is in
}

// siblings are the names in a folder.
type siblings struct {
	path string // of the folder, on the wire
	last string // the name that was announced last, and its fold
	fold string
}

func newOrder(o ReceiveOptions) *order { return &order{o: o, in: make([]siblings, 1)} }

// count checks the number of an entry, and the limits.
func (o *order) count(m *wire.Entry) error {
	if m.ID != o.last+1 {
		return disorder(m)
	}
	o.last = m.ID
	if o.o.MaxEntries > 0 && m.ID > o.o.MaxEntries {
		return proto.Errorf(proto.Space, "the peer sends more than %d entries", o.o.MaxEntries)
	}
	if m.Kind == wire.EntryFile {
		if m.Size > proto.MaxTransferBytes-o.bytes || o.o.MaxBytes > 0 && o.bytes+m.Size > o.o.MaxBytes {
			return proto.Errorf(proto.Space, "the peer sends more than the %d bytes that are allowed", max(o.o.MaxBytes, 0))
		}
		o.bytes += m.Size
	}
	return nil
}

// place finds the folder that an entry is in: in how many it is, with that where
// all is, and its name there. A name that some system takes for the one before it
// is a twin. If it is a folder, others may be in it.
func (o *order) place(m *wire.Entry) (depth int, name string, twin bool, err error) {
	dir, name := "", m.Path
	if i := strings.LastIndexByte(m.Path, '/'); i >= 0 {
		dir, name = m.Path[:i], m.Path[i+1:]
	}
	for len(o.in) > 1 && o.in[len(o.in)-1].path != dir {
		o.in = o.in[:len(o.in)-1]
	}
	depth = len(o.in)
	in := &o.in[depth-1]
	folded := fold(name)
	if in.path != dir || name == in.last || folded < in.fold {
		return 0, "", false, disorder(m)
	}
	twin = folded == in.fold
	in.last, in.fold = name, folded
	if m.Kind == wire.EntryFolder {
		o.in = append(o.in, siblings{path: m.Path})
	}
	return depth, name, twin, nil
}

func disorder(m wire.Message) error {
	return proto.Errorf(proto.Protocol, "%s out of order", m.Type())
}

var errTwin = proto.Errorf(proto.Unsafe, "some systems take its name for that of another that was sent")
