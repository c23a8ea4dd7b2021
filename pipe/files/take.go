package files

import (
	"errors"
	"io/fs"
	"os"

	"mesh/pipe/digest"
	"mesh/proto"
	"mesh/proto/wire"
)

// want is a file that was taken: data of it is to come.
type want struct {
	entry *wire.Entry
	in    *folder
	name  string
	// have is how much of it was there when it was announced, in an unfinished
	// file, or with there set, in a file of that name; hash is of that.
	have  int64
	there bool
	hash  *digest.Hasher
}

// file answers the announcement of a file, or takes its data if that follows.
func (r *receiver) file(m *wire.Entry, in *folder, name string) error {
	w := &want{entry: m, in: in, name: name}
	if m.Now {
		return r.fileNow(w)
	}
	a := wire.Answer{}
	info, err := in.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return r.refuse(m, err)
	default:
		if a, err = r.compareThere(w, info); err != nil {
			return r.refuse(m, err)
		}
	}
	if a.Skip {
		r.skip(in, Arrival{Name: name, Bytes: m.Size, Digest: m.Digest})
		return r.answer(m, a)
	}
	if a.Have == 0 && !m.Small() {
		if err := r.unfinished(w); err != nil {
			return err
		}
	}
	if w.have > 0 {
		sum := w.hash.Sum()
		a.Have, a.Digest = w.have, &sum
	}
	if !w.there {
		if err := room(w); err != nil {
			return err
		}
	}
	if r.files == proto.MaxPending {
		return disorder(m)
	}
	r.queue = append(r.queue, queued{want: w})
	r.files++
	return r.answer(m, a)
}

// compareThere looks at what has the file's name already. The error is why the
// file is refused.
func (r *receiver) compareThere(w *want, info fs.FileInfo) (wire.Answer, error) {
	replaces := r.o.Rename || r.o.Force && (info.Mode().IsRegular() || info.Mode()&fs.ModeSymlink != 0)
	if !info.Mode().IsRegular() || info.Size() != w.entry.Size {
		if !replaces {
			return wire.Answer{}, ErrIsThere
		}
		return wire.Answer{}, nil
	}
	h, err := r.hashThere(w, info)
	if err != nil {
		if replaces {
			return wire.Answer{}, nil
		}
		return wire.Answer{}, err
	}
	if w.entry.Small() {
		switch {
		case h.Sum() == *w.entry.Digest:
			return wire.Answer{Skip: true}, nil
		case !replaces:
			return wire.Answer{}, ErrIsThere
		}
		return wire.Answer{}, nil
	}
	w.have, w.there, w.hash = info.Size(), true, h
	if !replaces {
		return wire.Answer{Code: proto.Unsafe}, nil
	}
	return wire.Answer{}, nil
}

// hashThere digests the file that has the name. It is only read.
func (r *receiver) hashThere(w *want, info fs.FileInfo) (*digest.Hasher, error) {
	f, err := w.in.root.OpenFile(w.name, os.O_RDONLY|openNonblock, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if opened, err := f.Stat(); err != nil || !os.SameFile(info, opened) {
		return nil, ErrIsThere
	}
	h := digest.New()
	return h, r.hash(h, f, w.entry.Size)
}

// unfinished looks for what another run has left of the file.
func (r *receiver) unfinished(w *want) error {
	p := &part{folder: w.in, entry: w.entry, temp: partName(r.o.Owner, w.entry)}
	if p.reopen() != nil {
		return nil
	}
	defer p.file.Close()
	info, err := p.file.Stat()
	if err != nil || info.Size() == 0 || info.Size() > w.entry.Size {
		return nil
	}
	h := digest.New()
	if err := r.hash(h, p.file, info.Size()); err != nil {
		if r.ctx.Err() != nil {
			return err
		}
		return nil
	}
	w.have, w.hash = info.Size(), h
	return nil
}

// room wants the disk to have room for what is still to come of a large file.
func room(w *want) error {
	if w.entry.Small() {
		return nil
	}
	if free, known := freeBytes(w.in.root.file); known && w.entry.Size-w.have > free {
		return errFull(w.entry, free)
	}
	return nil
}

// fileNow takes a file whose data follows.
func (r *receiver) fileNow(w *want) error {
	if w.entry.Small() {
		return r.whole(w)
	}
	if err := room(w); err != nil {
		return err
	}
	p, err := r.newPart(w)
	switch {
	case err == nil:
		r.current = p
		return nil
	case proto.CodeOf(proto.IOError(err)) == proto.Space:
		return proto.IOError(errIn(w.in.path, err))
	}
	return r.refuse(w.entry, err)
}

// whole takes a small file, which is proven before any of it is written.
func (r *receiver) whole(w *want) error {
	var body []byte
	var err error
	if w.entry.Size > 0 {
		if _, body, err = r.r.next(wire.TypeData); err != nil {
			return err
		}
	}
	if err := proven(w.entry, body); err != nil {
		return err
	}
	if err := w.in.open(); err != nil {
		return r.drop(w.entry, refusal(err))
	}
	r.store.addWhole(&part{folder: w.in, entry: w.entry, name: w.name, temp: r.temps.next()}, body)
	return nil
}

// newPart begins the file that a want is for.
func (r *receiver) newPart(w *want) (*part, error) {
	if err := w.in.open(); err != nil {
		return nil, err
	}
	p, err := newPart(w.in, r.o.Owner, w.name, w.entry)
	if err != nil {
		w.in.close()
	}
	return p, err
}

// from takes FILES_FROM: the data of the file that was taken first comes, from
// the beginning or from where we have it.
func (r *receiver) from(m *wire.From) error {
	if r.current != nil || r.compare != nil || len(r.queue) == 0 || r.queue[0].want.entry.ID != m.ID {
		return disorder(m)
	}
	w := r.queue[0].want
	switch {
	case m.From == 0:
		p, err := r.newPart(w)
		if err != nil {
			return proto.IOError(errIn(w.in.path, err))
		}
		r.current = p
	case m.From != w.have:
		return disorder(m)
	case w.there:
		r.compare = w
	default:
		if err := w.in.open(); err != nil {
			return proto.IOError(errIn(w.in.path, err))
		}
		p := &part{folder: w.in, entry: w.entry, name: w.name, temp: partName(r.o.Owner, w.entry), hash: w.hash, bytes: w.have, kept: true}
		err := p.reopen()
		if err == nil {
			if err = p.at(w.have); err != nil {
				_ = p.file.Close()
			}
		}
		if err != nil {
			w.in.close()
			return p.failed(err)
		}
		r.current = p
	}
	return nil
}

// data takes a piece of the file that comes.
func (r *receiver) data(body []byte) error {
	if r.current == nil || len(body) == 0 {
		return proto.Errorf(proto.Protocol, "%s out of order", wire.TypeData)
	}
	return r.current.write(body)
}

// end takes FILES_END.
func (r *receiver) end(m *wire.End) error {
	p, w := r.current, r.compare
	switch {
	case p != nil && p.entry.ID == m.ID:
		if m.Code != 0 {
			r.current = nil
			p.kept = false
			p.leave()
			return r.spoilt(p.entry, p.folder, m.Code)
		}
		return r.complete(*m.Digest)
	case w != nil && w.entry.ID == m.ID:
		r.compare = nil
		if m.Code != 0 {
			return r.spoilt(w.entry, w.in, m.Code)
		}
		if *m.Digest != w.hash.Sum() {
			return proto.Errorf(proto.Integrity, "digest mismatch: a file that is there is not what the peer has")
		}
		r.skip(w.in, Arrival{Name: w.name, Bytes: w.entry.Size, Digest: m.Digest})
		return r.advance(w.entry.ID)
	case p == nil && w == nil && len(r.queue) > 0 && r.queue[0].want.entry.ID == m.ID && m.Code != 0:
		return r.spoilt(r.queue[0].want.entry, r.queue[0].want.in, m.Code)
	}
	return disorder(m)
}

// spoilt takes note of a file that the peer could not send, or that is not what
// is there.
func (r *receiver) spoilt(e *wire.Entry, in *folder, code proto.Code) error {
	r.store.spoil(in.top)
	if code == proto.Unsafe {
		r.tally.refuse(proto.EscapeText(e.Path), ErrIsThere)
	} else {
		r.tally.fail(proto.EscapeText(e.Path), proto.Errorf(code, "the peer could not send it (%s): %s", code, code.OfPeer()))
	}
	return r.advance(e.ID)
}

// complete checks the file that came and hands it to the store.
func (r *receiver) complete(want wire.Digest) error {
	p := r.current
	if err := p.check(want); err != nil {
		p.kept = false
		return err
	}
	if err := p.finish(); err != nil {
		return err
	}
	r.current = nil
	r.store.add(job{part: p})
	return r.advance(p.entry.ID)
}

// advance takes a file that is done with off the queue, if it is there, and the
// folders behind it.
func (r *receiver) advance(id int64) error {
	if len(r.queue) == 0 || r.queue[0].want == nil || r.queue[0].want.entry.ID != id {
		return nil
	}
	r.queue = r.queue[1:]
	r.files--
	for len(r.queue) > 0 && r.queue[0].folder != nil {
		f := r.queue[0].folder
		r.queue = r.queue[1:]
		if err := f.open(); err != nil {
			return proto.IOError(errIn(f.path, err))
		}
		r.store.add(job{folder: f})
	}
	return nil
}
