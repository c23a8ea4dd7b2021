package files

import (
	"context"
	"errors"
	"fmt"
	"io"

	"mesh/pipe/digest"
	"mesh/proto"
	"mesh/proto/wire"
)

// SendOptions are what [Send] may be told. The zero value will do.
type SendOptions struct {
	// Symlinks sends symbolic links that lead to what is sent too.
	Symlinks bool
	// SkipSpecial leaves out what is neither a file nor a folder, which else is
	// an error.
	SkipSpecial bool
	// Archive says that the one name is that of an archive, zip or tar, and that
	// what it holds is to be sent.
	Archive bool
	// Report, if it is set, is told of each entry that is not sent or not
	// stored. The path is safe to print.
	Report func(path string, err error)
}

// newFinder returns what finds what is named.
func newFinder(names []string, o SendOptions) (finder, error) {
	if !o.Archive {
		return newWalk(names, o.Symlinks)
	}
	return openArchive(names[0], o.Symlinks)
}

// sender is one run of [Send].
//
//	walk -> announce -> [waiting] -> answer -> data
type sender struct {
	ctx   context.Context
	o     SendOptions
	find  finder
	w     *frameWriter
	tally tally
	buf   []byte
	hash  *digest.Hasher

	last    int64 // id
	waiting []waiting
	held    bool // a folder's answer decides how what is in it goes

	answers chan *wire.Answer // sent and closed by listen
	stored  *wire.Stored      // set before answers is closed, unless broken is
	broken  error
}

// waiting is an entry that has been announced, and not been answered.
type waiting struct {
	id int64
	it *item
}

// Send sends the files and folders named over to, and takes from the other pipe
// what the receiver says. It returns nil only when all of them are stored at
// the receiver, or are there already. What can't be sent or stored is reported
// and does not hold up the rest.
func Send(ctx context.Context, names []string, from io.Reader, to io.Writer, o SendOptions) (Summary, error) {
	find, err := newFinder(names, o)
	if err != nil {
		return Summary{}, err
	}
	s := &sender{
		ctx: ctx, o: o, find: find, w: newFrameWriter(to), buf: make([]byte, proto.MaxChunkBytes), hash: digest.New(),
		tally: tally{report: o.Report}, answers: make(chan *wire.Answer, proto.MaxPending),
	}
	go s.listen(newFrameReader(from)) // until the end of from, which its owner sees to
	if err := s.run(); err != nil {
		return Summary{}, err
	}
	sum := Summary{Files: s.stored.Files, Skipped: s.stored.Skipped, Failed: s.tally.failed, Refused: s.stored.Refused}
	s.tally.refused = max(s.tally.refused, s.stored.Refused) // also what the receiver has not told one by one
	if s.tally.code == 0 {
		s.tally.code = s.stored.Code
	}
	return sum, s.tally.err()
}

// run sends, and waits for the end.
func (s *sender) run() error {
	defer func() {
		for _, w := range s.waiting {
			w.it.tree.done()
		}
		s.find.close()
	}()
	for ended := false; !ended || len(s.waiting) > 0; {
		if err := context.Cause(s.ctx); err != nil {
			return err
		}
		select {
		case a, ok := <-s.answers:
			if err := s.answer(a, ok); err != nil {
				return err
			}
			continue
		default:
		}
		if !ended && !s.held && len(s.waiting) < proto.MaxPending {
			it := s.find.next()
			ended = it == nil
			if !ended {
				if err := s.announce(it); err != nil {
					return err
				}
			}
			continue
		}
		if err := s.w.flush(); err != nil {
			return err
		}
		if err := s.await(); err != nil {
			return err
		}
	}
	s.tally.mu.Lock()
	total := &wire.Total{Entries: s.last, Failed: s.tally.failed, Code: s.tally.code}
	if total.Failed == 0 {
		total.Code = 0
	}
	s.tally.mu.Unlock()
	if err := errors.Join(s.w.message(total), s.w.flush()); err != nil {
		return err
	}
	if a, ok := <-s.answers; ok {
		return proto.Errorf(proto.Protocol, "%s out of order", a.Type())
	}
	return s.broken
}

// await waits for an answer.
func (s *sender) await() error {
	select {
	case a, ok := <-s.answers:
		return s.answer(a, ok)
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// announce announces an item, and sends what it holds if it can go at once.
func (s *sender) announce(it *item) error {
	if it.err != nil {
		if !s.o.SkipSpecial || !errors.Is(it.err, errSpecial) {
			s.tally.fail(proto.EscapeText(it.path), it.err)
		}
		return nil
	}
	e := &wire.Entry{ID: s.last + 1, Path: it.path, Kind: it.kind, Target: it.target, Mtime: nanoseconds(it.mtime)}
	if it.kind != wire.EntrySymlink {
		e.Mode = int(it.perm)
	}
	e.Now = it.in != nil && it.in.fresh && len(s.waiting) == 0
	switch it.kind {
	case wire.EntryFolder:
		s.held = it.in == nil
	case wire.EntryFile:
		return s.announceFile(e, it)
	}
	return s.entry(e, it)
}

// entry sends the FILES_ENTRY.
func (s *sender) entry(e *wire.Entry, it *item) error {
	if err := s.w.message(e); err != nil {
		return err
	}
	s.last++
	if !e.Now {
		it.tree = it.tree.use()
		s.waiting = append(s.waiting, waiting{e.ID, it})
	}
	return nil
}

func (s *sender) announceFile(e *wire.Entry, it *item) error {
	e.Size = it.size
	small := e.Small()
	if !small && !e.Now {
		return s.entry(e, it)
	}
	if !small {
		f, err := it.open()
		if err != nil {
			s.tally.fail(it.path, err)
			return nil
		}
		defer f.Close()
		if err := s.entry(e, it); err != nil {
			return err
		}
		return s.data(e.ID, it, f, 0)
	}
	p, err := s.whole(it)
	if err != nil {
		s.tally.fail(it.path, err)
		return nil
	}
	sum := digest.Sum(p)
	e.Digest = &sum
	if err := s.entry(e, it); err != nil || !e.Now || len(p) == 0 {
		return err
	}
	return s.w.data(p)
}

// whole reads a small file.
func (s *sender) whole(it *item) ([]byte, error) {
	if it.whole != nil {
		p, err := it.whole(s.buf)
		if err != nil {
			err = proto.IOError(cause(err))
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
		return nil, proto.IOError(cause(err))
	}
	if err == nil || n != size {
		return nil, errChanged
	}
	return s.buf[:size], f.unchanged()
}

// answer does what the receiver says of the entry that has waited longest.
func (s *sender) answer(a *wire.Answer, ok bool) error {
	if !ok {
		if s.broken != nil {
			return s.broken
		}
		return proto.Errorf(proto.Protocol, "%s out of order", wire.TypeStored)
	}
	if len(s.waiting) == 0 || s.waiting[0].id != a.ID {
		return proto.Errorf(proto.Protocol, "%s out of order", a.Type())
	}
	it := s.waiting[0].it
	s.waiting = s.waiting[1:]
	defer it.tree.done()
	folder := it.kind == wire.EntryFolder
	if a.Fresh && !folder || a.Have > 0 && it.kind != wire.EntryFile || a.Have > it.size {
		return proto.Errorf(proto.Protocol, "%s to something else", a.Type())
	}
	if folder {
		s.held = s.held && it.in != nil
		it.inside.fresh = a.Fresh
	}
	switch {
	case a.Code != 0 && a.Have == 0:
		s.tally.refuse(it.path, refusedBy(a.Code))
		if folder {
			s.find.prune(it.inside)
		}
		return nil
	case a.Skip || it.kind != wire.EntryFile:
		return nil
	}
	return s.file(a, it)
}

func refusedBy(code proto.Code) error {
	return proto.Errorf(code, "the peer does not store it (%s): %s", code, code.OfPeer())
}

// listen takes what the receiver says, to its end.
func (s *sender) listen(r *frameReader) {
	defer close(s.answers)
	s.broken = func() error {
		for {
			t, body, err := r.next(wire.TypeAnswer, wire.TypeRefused, wire.TypeStored)
			if err != nil {
				return err
			}
			switch t {
			case wire.TypeAnswer:
				a := new(wire.Answer)
				if err := wire.ParseBody(body, a); err != nil {
					return err
				}
				select {
				case s.answers <- a:
				default:
					return proto.Errorf(proto.Protocol, "%s to nothing", t)
				}
			case wire.TypeRefused:
				var m wire.Refused
				if err := wire.ParseBody(body, &m); err != nil {
					return err
				}
				s.tally.refuse(proto.EscapeText(m.Path), refusedBy(m.Code))
			default:
				m := new(wire.Stored)
				if err := wire.ParseBody(body, m); err != nil {
					return err
				}
				s.stored = m
				return nil
			}
		}
	}()
}

func count(n int64) string {
	if n == 1 {
		return "1 entry was"
	}
	return fmt.Sprintf("%d entries were", n)
}
