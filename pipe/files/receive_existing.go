package files

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"mesh/pipe/digest"
	"mesh/pipe/files/disk"
	"mesh/proto"
	"mesh/proto/wire"
)

// existing looks for what is there already of a file that was announced.
type existing struct {
	force, rename bool
	owner         string
	account       *account // may be nil
	// flush is called before a long read, since the sender may wait for earlier
	// answers.
	flush func() error
	buf   []byte
}

// compare returns the answer to a file that was announced, and notes in w how much
// of it is there. The file is refused if other content has its name and may be
// neither replaced nor left beside it.
func (x *existing) compare(ctx context.Context, w *wanted) (wire.Answer, error) {
	var a wire.Answer
	info, err := w.in.disk.Lstat(w.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return a, refuse(err)
	default:
		if a, err = x.compareNamed(ctx, w, info); err != nil {
			return a, refuse(err)
		}
	}
	if !a.Skip && !w.exists && w.there == nil && !w.entry.Small() {
		if err := x.findPart(ctx, w); err != nil {
			return a, err
		}
	}
	if w.have > 0 {
		sum := w.hash.Sum()
		a.Have, a.Digest = w.have, &sum
	}
	return a, nil
}

// compareNamed compares the file with what has its name, if the peer has stored that. A
// small one was announced with its digest, which decides. Of a large one the sender gets
// length and digest of what is there, and decides. With the code in the answer it must
// not send another file. What somebody else has stored, or has changed, is compared when
// all data of the sender's is there.
func (x *existing) compareNamed(ctx context.Context, w *wanted, info fs.FileInfo) (wire.Answer, error) {
	var a wire.Answer
	other := error(ErrIsThere) // what to do about other content
	switch {
	case x.rename:
		other = nil
	case x.force:
		other = checkReplace(w.in.disk, w.name, info)
	}
	if !info.Mode().IsRegular() || info.Size() != w.entry.Size {
		return a, other
	}
	h, err := x.hashStored(ctx, w, info)
	switch {
	case h == nil && other == nil:
		return a, nil
	case err != nil:
		return a, err
	case h == nil && !x.account.allowsGuess(w.in, w.name, info):
		return a, other
	case h == nil:
		w.there = info
		return a, nil
	case w.entry.Small():
		if h.Sum() != *w.entry.Digest {
			return a, other
		}
		w.in.disk.RemoveSecondName(tempName(x.owner, w.entry), info)
		a.Skip = true
		return a, nil
	}
	w.in.disk.RemoveSecondName(tempName(x.owner, w.entry), info)
	w.have, w.exists, w.hash = info.Size(), true, h
	if other != nil {
		a.Code = proto.Unsafe
	}
	return a, nil
}

// hashStored hashes the file that has the name, if the peer has stored it and it has not
// changed since; else it returns nil.
func (x *existing) hashStored(ctx context.Context, w *wanted, info fs.FileInfo) (*digest.Hasher, error) {
	holds, found := x.account.wasStored(w.in.pathOf(w.name), info)
	if !found {
		return nil, nil
	}
	h, err := x.hashNamed(ctx, w, info)
	if err != nil || !holds(h.Sum()) {
		return nil, err
	}
	return h, nil
}

// isSame reports whether the sender may hear that what it has sent is what the file of
// that name holds. The file must still be the same as before.
func (x *existing) isSame(ctx context.Context, w *wanted, sum digest.Digest) (bool, error) {
	if err := w.in.open(); err != nil {
		return false, err
	}
	defer w.in.close()
	h, err := x.hashNamed(ctx, w, w.there)
	if err != nil {
		return false, err
	}
	if !x.account.guess(w.in.pathOf(w.name), w.there, sum, h.Sum() == sum) {
		return false, nil
	}
	w.in.disk.RemoveSecondName(tempName(x.owner, w.entry), w.there) // of a delivery that was killed before it could note
	return true, nil
}

// hashNamed hashes the file that has the name. It is only read.
func (x *existing) hashNamed(ctx context.Context, w *wanted, info fs.FileInfo) (*digest.Hasher, error) {
	f, err := w.in.disk.OpenSame(w.name, info)
	if errors.Is(err, disk.ErrReplaced) {
		return nil, ErrIsThere
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return x.hash(ctx, f, w.entry.Size)
}

// findPart looks for what an earlier run has left of the file. A part that cannot
// be used is none.
func (x *existing) findPart(ctx context.Context, w *wanted) error {
	part, err := w.in.disk.ReopenTemp(tempName(x.owner, w.entry))
	if disk.IsShort(err) {
		return refuse(err)
	}
	if err != nil {
		return nil
	}
	defer part.Close()
	size, err := part.Size()
	if err != nil || size == 0 || size > w.entry.Size {
		return nil
	}
	h, err := x.hash(ctx, part, size)
	if err != nil {
		return context.Cause(ctx)
	}
	w.have, w.hash = size, h
	return nil
}

// hash hashes the next size bytes of a file.
func (x *existing) hash(ctx context.Context, f io.Reader, size int64) (*digest.Hasher, error) {
	if x.buf == nil {
		x.buf = make([]byte, bufferBytes)
	}
	if size > bufferBytes {
		if err := x.flush(); err != nil {
			return nil, err
		}
	}
	h := digest.New()
	for size > 0 {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		n, err := f.Read(x.buf[:min(size, int64(len(x.buf)))])
		_, _ = h.Write(x.buf[:n]) // never fails
		size -= int64(n)
		if err == io.EOF && size > 0 {
			return nil, io.ErrUnexpectedEOF
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
	}
	return h, nil
}

// checkRoom fails if the disk has no room for what is still to come of a large
// file. It cannot know for several files at once; a disk may fill up all the same.
func checkRoom(w *wanted) error {
	if w.entry.Small() || w.exists || w.there != nil {
		return nil
	}
	if free, known := w.in.disk.Free(); known && w.entry.Size-w.entry.Holes-w.have > free {
		return errFull(w.entry, free)
	}
	return nil
}
