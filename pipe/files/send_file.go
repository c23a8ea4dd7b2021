package files

import (
	"context"
	"io"

	"mesh/proto"
	"mesh/proto/wire"
)

// file sends a file that the receiver wants, or lacks a part of.
func (s *sender) file(a *wire.Answer, it *item) error {
	f, err := it.open()
	if err != nil {
		return s.spoilt(a.ID, it, err)
	}
	defer func() { _ = f.Close() }()
	var offset int64
	if a.Have > 0 {
		same, err := s.proves(a, f)
		switch {
		case err != nil:
			return s.spoilt(a.ID, it, err)
		case same:
			offset = a.Have
		case a.Code != 0:
			s.tally.refuse(it.path, refusedBy(a.Code))
			return s.w.message(&wire.End{ID: a.ID, Code: a.Code})
		default:
			_ = f.Close()
			again, err := it.open()
			if err != nil {
				return s.spoilt(a.ID, it, err)
			}
			f = again
		}
	}
	if err := s.w.message(&wire.From{ID: a.ID, From: offset}); err != nil {
		return err
	}
	return s.data(a.ID, it, f, offset)
}

// proves reports whether what the receiver has is the beginning of the file, and
// leaves that in the hash.
func (s *sender) proves(a *wire.Answer, f body) (bool, error) {
	s.hash.Reset()
	for left := a.Have; left > 0; {
		if err := context.Cause(s.ctx); err != nil {
			return false, err
		}
		n, err := f.Read(s.buf[:min(left, int64(len(s.buf)))])
		_, _ = s.hash.Write(s.buf[:n]) // never fails
		left -= int64(n)
		if err == io.EOF {
			return false, errChanged
		}
		if err != nil {
			return false, proto.IOError(cause(err))
		}
	}
	return s.hash.Sum() == *a.Digest, nil
}

// data sends a file from an offset on, what is before it being in the hash, and
// its end.
func (s *sender) data(id int64, it *item, f body, offset int64) error {
	if offset == 0 {
		s.hash.Reset()
	}
	size := it.size
	for offset < size {
		if err := context.Cause(s.ctx); err != nil {
			return err
		}
		n, err := f.Read(s.buf[:min(size-offset, int64(len(s.buf)))])
		if n > 0 {
			_, _ = s.hash.Write(s.buf[:n]) // never fails
			offset += int64(n)
			if err := s.w.data(s.buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return s.spoilt(id, it, proto.IOError(cause(err)))
		}
	}
	switch n, err := f.Read(s.buf[:1]); {
	case err != nil && err != io.EOF:
		return s.spoilt(id, it, proto.IOError(cause(err)))
	case offset != size || n != 0:
		return s.spoilt(id, it, errChanged)
	}
	if err := f.unchanged(); err != nil {
		return s.spoilt(id, it, err)
	}
	sum := s.hash.Sum()
	return s.w.message(&wire.End{ID: id, Digest: &sum})
}

// spoilt ends a file that was announced and can't be sent whole.
func (s *sender) spoilt(id int64, it *item, err error) error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	s.tally.fail(it.path, err)
	code := proto.CodeOf(err)
	if code != proto.Changed {
		code = proto.IO
	}
	return s.w.message(&wire.End{ID: id, Code: code})
}
