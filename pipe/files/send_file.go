package files

import (
	"context"
	"errors"
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
	size, from := it.size, offset
	s.o.Progress.add(offset)
	s.hole = 0
	for offset < size {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := s.count.tell(s.w); err != nil {
			return err
		}
		room := int64(len(s.buf)) - offset%int64(len(s.buf)) // so that reads end where blocks do
		n, err := f.Read(s.buf[:min(size-offset, room)])
		if n > 0 {
			_, _ = s.hash.Write(s.buf[:n]) // never fails
			if err := s.writePiece(s.buf[:n], offset); err != nil {
				return err
			}
			offset += int64(n)
			s.o.Progress.add(int64(n))
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
	if from < size {
		s.sent = addBytes(s.sent, size-s.o.holesOf(it))
	}
	return errors.Join(s.writeHole(), s.w.writeMessage(&wire.End{ID: id, Digest: &sum}))
}

// holesOf returns how many bytes of a file are announced as holes.
func (o SendOptions) holesOf(it *item) int64 {
	if !o.Holes || it.size <= proto.SmallFileBytes {
		return 0
	}
	return it.holes
}

// writePiece sends a piece of a file that stands at an offset. To a receiver that takes
// holes, blocks of zeros are counted in s.hole instead, until data follows.
func (s *sender) writePiece(p []byte, offset int64) error {
	if !s.o.Holes {
		return s.w.writeData(p)
	}
	for len(p) > 0 {
		n, isHole := disk.FirstRun(p, offset)
		if isHole && s.hole+int64(n) <= proto.MaxHoleBytes {
			s.hole += int64(n)
		} else {
			if err := s.writeHole(); err != nil {
				return err
			}
			if isHole {
				s.hole = int64(n)
			} else if err := s.w.writeData(p[:n]); err != nil {
				return err
			}
		}
		p, offset = p[n:], offset+int64(n)
	}
	return nil
}

// writeHole sends the zeros that writePiece has counted.
func (s *sender) writeHole() error {
	if s.hole == 0 {
		return nil
	}
	m := &wire.Hole{Bytes: s.hole}
	s.hole = 0
	return s.w.writeMessage(m)
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
