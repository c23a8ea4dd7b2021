package files

import (
	"context"
	"io"

	"mesh/pipe/digest"
	"mesh/pipe/files/disk"
	"mesh/proto"
	"mesh/proto/wire"
)

// announce announces an item, and sends its data if no answer is needed.
func (s *sender) announce(ctx context.Context, it *item) error {
	if it.err != nil {
		if !s.o.skips(it.err) {
			s.problems.addFailed(proto.EscapeText(it.path), it.err)
		}
		return nil
	}
	e := &wire.Entry{ID: s.lastID + 1, Path: it.path, Kind: it.kind, Target: it.target, Mtime: unixNano(it.mtime)}
	if it.kind != wire.EntrySymlink {
		e.Mode = int(it.perm)
	}
	e.Now = it.in != nil && it.in.fresh && len(s.waiting) == 0
	switch {
	case it.kind == wire.EntryFolder:
		s.held = it.in == nil
		e.Links = it.in == nil && s.o.Links
	case it.kind == wire.EntryFile:
		e.Size = it.size
		if done, err := s.announceLink(e, it); done || err != nil {
			return err
		}
		e.Links = s.mayLink(e, it)
		if e.Small() {
			return s.announceSmall(e, it)
		}
		e.Holes = s.o.holesOf(it)
		if e.Now {
			return s.sendNow(ctx, e, it)
		}
	}
	return s.sendEntry(e, it)
}

// sendEntry sends a FILES_ENTRY. Unless it says "now", the item waits for the
// answer.
func (s *sender) sendEntry(e *wire.Entry, it *item) error {
	if it.rival != "" {
		s.problems.addRival(it.path, it.rival)
	}
	if err := s.w.writeMessage(e); err != nil {
		return err
	}
	s.lastID++
	if e.Kind != wire.EntryFolder {
		s.leaves++
		s.size = addBytes(s.size, e.Size)
	}
	if !e.Now {
		it.tree = it.tree.use()
		s.waiting = append(s.waiting, waiting{e.ID, it})
	}
	return nil
}

// announceSmall announces a small file with its digest, and with "now" sends its
// data too.
func (s *sender) announceSmall(e *wire.Entry, it *item) error {
	p, err := s.readSmall(it)
	if err != nil {
		s.problems.addFailed(proto.EscapeText(it.path), err)
		return nil
	}
	if int64(len(p)) != it.size {
		if err := it.keepContent(p); err != nil {
			s.problems.addFailed(proto.EscapeText(it.path), err)
			return nil
		}
		e.Size = it.size
	}
	sum := digest.Sum(p)
	e.Digest = &sum
	if err := s.sendEntry(e, it); err != nil || !e.Now {
		return err
	}
	s.noteLinked(e, it)
	s.sent += int64(len(p))
	s.o.Progress.add(int64(len(p)))
	if len(p) == 0 {
		return nil
	}
	return s.w.writeData(p)
}

// sendNow announces a large file and sends its data.
func (s *sender) sendNow(ctx context.Context, e *wire.Entry, it *item) error {
	f, err := it.open()
	if err != nil {
		s.problems.addFailed(proto.EscapeText(it.path), err)
		return nil
	}
	defer f.Close()
	if err := s.sendEntry(e, it); err != nil {
		return err
	}
	unsent := s.unsent
	err = s.sendData(ctx, e.ID, it, f, 0)
	if s.unsent == unsent {
		s.noteLinked(e, it)
	}
	return err
}

// readSmall reads all of a small file.
func (s *sender) readSmall(it *item) ([]byte, error) {
	if it.readSmall != nil {
		p, err := it.readSmall(s.buf[:proto.SmallFileBytes+1])
		if err != nil {
			err = proto.IOError(disk.Cause(err))
		}
		return p, err
	}
	f, err := it.open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size := int(it.size)
	n, err := io.ReadFull(f, s.buf[:size+1])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, proto.IOError(disk.Cause(err))
	}
	if err == nil || n != size {
		return nil, disk.ErrChanged
	}
	return s.buf[:size], f.CheckUnchanged()
}
