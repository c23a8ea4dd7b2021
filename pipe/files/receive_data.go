package files

import (
	"mesh/pipe/digest"
	"mesh/proto"
	"mesh/proto/wire"
)

// incoming is the file whose data arrives, if there is one. Either part grows; or all
// data arrives, to be compared with a file that exists already, and guess grows; or only
// its digest arrives for that.
type incoming struct {
	wanted *wanted
	part   *part
	guess  *digest.Hasher
	bytes  int64 // of guess, or of a refused file
	// refused says that the file cannot be stored. Its data is read over.
	refused bool
}

// begin begins with a file from an offset: 0, or w.have.
func (in *incoming) begin(w *wanted, offset int64, owner string) error {
	switch {
	case w.there != nil:
		in.guess = digest.New()
	case offset == 0 || !w.exists:
		p, err := openPart(w, offset, owner)
		if err != nil {
			return err
		}
		p.rivals = w.rivals
		in.part = p
	}
	in.wanted = w
	return nil
}

// openPart opens the temporary file of a wanted one, and its folder.
func openPart(w *wanted, offset int64, owner string) (p *part, err error) {
	if err := w.in.open(); err != nil {
		return nil, err
	}
	if offset == 0 {
		p, err = newPart(w.in, owner, w.name, w.entry)
	} else {
		p, err = resumePart(w.in, owner, w.name, w.entry, w.have, w.hash)
	}
	if err != nil {
		w.in.close()
	}
	return p, err
}

// writeData takes a piece of the file.
func (in *incoming) writeData(body []byte) error {
	if in.refused || in.guess != nil {
		if in.bytes += int64(len(body)); len(body) == 0 || in.bytes > in.wanted.entry.Size {
			return errMore
		}
		if in.guess != nil {
			_, _ = in.guess.Write(body) // never fails
		}
		return nil
	}
	if in.part == nil || len(body) == 0 {
		return errTypeOrder(wire.TypeData)
	}
	return in.part.write(body)
}

// complete ends the file. It returns the part to store, nil if the file existed
// already, or is to be compared with one that does.
func (in *incoming) complete(want wire.Digest) (*part, error) {
	switch {
	case in.guess != nil && in.bytes < in.wanted.entry.Size:
		return nil, errFewer(in.wanted.entry, in.bytes)
	case in.guess != nil:
		if want != in.guess.Sum() {
			return nil, errDigest
		}
	case in.part == nil:
		if want != in.wanted.hash.Sum() {
			return nil, proto.Errorf(proto.Integrity, "digest mismatch: a file that is there already differs from the peer's")
		}
	default:
		if err := in.part.complete(want); err != nil {
			return nil, err
		}
	}
	p := in.part
	*in = incoming{}
	return p, nil
}

// discard ends the file without storing it.
func (in *incoming) discard() {
	if in.part != nil {
		in.part.keep = false
	}
	in.release()
}

// release closes the file. Its part may stay, for another run to resume.
func (in *incoming) release() {
	if in.part != nil {
		in.part.release()
	}
	*in = incoming{}
}

// readSmall reads all of a small file that follows its entry, and checks it
// before any of it is written.
func readSmall(r *frameReader, e *wire.Entry) (body []byte, err error) {
	if e.Size > 0 {
		if _, body, err = r.readFrame(wire.TypeData); err != nil {
			return nil, err
		}
	}
	return body, checkSmall(e, body)
}

// skipData reads over the data of a refused file that follows its entry.
func skipData(r *frameReader, m *wire.Entry) error {
	if m.Size == 0 {
		return nil
	}
	if m.Small() {
		_, body, err := r.readFrame(wire.TypeData)
		if err == nil && int64(len(body)) != m.Size {
			err = errMore
		}
		return err
	}
	for bytes := int64(0); bytes <= m.Size; {
		t, body, err := r.readFrame(wire.TypeData, wire.TypeHole, wire.TypeEnd)
		if err != nil {
			return err
		}
		switch t {
		case wire.TypeEnd:
			var e wire.End
			if err := wire.ParseBody(body, &e); err != nil || e.ID == m.ID {
				return err
			}
			return errOrder(&e)
		case wire.TypeHole:
			var h wire.Hole
			if err := wire.ParseBody(body, &h); err != nil {
				return err
			}
			bytes += h.Bytes
			r.progress.add(h.Bytes)
		default:
			bytes += int64(len(body))
		}
	}
	return errMore
}

// arrivalOf describes a file that is there already.
func arrivalOf(w *wanted, sum *wire.Digest) Arrival {
	return Arrival{Name: w.name, Bytes: w.entry.Size, Digest: sum}
}
