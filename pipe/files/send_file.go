package files

import (
	"context"
	"io"

	"mesh/pipe/files/disk"
	"mesh/proto"
	"mesh/proto/wire"
)

// sendFile sends a file that the receiver wants, or the part that it lacks.
func (s *sender) sendFile(ctx context.Context, a *wire.Answer, it *item) error {
	f, err := it.open()
	if err != nil {
		return s.endFailed(ctx, a.ID, it, err)
	}
	defer func() { _ = f.Close() }()
	var offset int64
	if a.Have > 0 {
		same, err := s.beginsWith(ctx, f, a)
		switch {
		case err != nil:
			return s.endFailed(ctx, a.ID, it, err)
		case same:
			offset = a.Have
		case a.Code != 0:
			s.problems.addTakenAtPeer(it.path, a.Code)
			return s.w.writeMessage(&wire.End{ID: a.ID, Code: a.Code})
		default:
			_ = f.Close()
			again, err := it.open()
			if err != nil {
				return s.endFailed(ctx, a.ID, it, err)
			}
			f = again
		}
	}
	if err := s.w.writeMessage(&wire.From{ID: a.ID, From: offset}); err != nil {
		return err
	}
	return s.sendData(ctx, a.ID, it, f, offset)
}

// beginsWith reports whether the file begins with what the receiver has. It leaves
// those bytes in the hash.
func (s *sender) beginsWith(ctx context.Context, f body, a *wire.Answer) (bool, error) {
	s.hash.Reset()
	for left := a.Have; left > 0; {
		if err := context.Cause(ctx); err != nil {
			return false, err
		}
		n, err := f.Read(s.buf[:min(left, int64(len(s.buf)))])
		_, _ = s.hash.Write(s.buf[:n]) // never fails
		left -= int64(n)
		if err == io.EOF {
			return false, disk.ErrChanged
		}
		if err != nil {
			return false, proto.IOError(disk.Cause(err))
		}
	}
	return s.hash.Sum() == *a.Digest, nil
}

// sendData sends a file from an offset to its end, and FILES_END. If the offset is
// not 0, the bytes before it are in the hash.
func (s *sender) sendData(ctx context.Context, id int64, it *item, f body, offset int64) error {
	if offset == 0 {
		s.hash.Reset()
	}
	size := it.size
	for offset < size {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		n, err := f.Read(s.buf[:min(size-offset, int64(len(s.buf)))])
		if n > 0 {
			_, _ = s.hash.Write(s.buf[:n]) // never fails
			offset += int64(n)
			if err := s.w.writeData(s.buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return s.endFailed(ctx, id, it, proto.IOError(disk.Cause(err)))
		}
	}
	switch n, err := f.Read(s.buf[:1]); {
	case err != nil && err != io.EOF:
		return s.endFailed(ctx, id, it, proto.IOError(disk.Cause(err)))
	case offset != size || n != 0:
		return s.endFailed(ctx, id, it, disk.ErrChanged)
	}
	if err := f.CheckUnchanged(); err != nil {
		return s.endFailed(ctx, id, it, err)
	}
	sum := s.hash.Sum()
	return s.w.writeMessage(&wire.End{ID: id, Digest: &sum})
}

// endFailed tells the receiver that a file which was announced cannot be sent.
func (s *sender) endFailed(ctx context.Context, id int64, it *item, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.problems.addFailed(proto.EscapeText(it.path), err)
	s.unsent++
	code := proto.CodeOf(err)
	if code != proto.Changed {
		code = proto.IO
	}
	return s.w.writeMessage(&wire.End{ID: id, Code: code})
}
