package files

import (
	"context"
	"errors"
	"io"

	"mesh/pipe/digest"
	"mesh/proto"
	"mesh/proto/wire"
)

func newFinder(names []string, o SendOptions) (finder, error) {
	if !o.Archive {
		return newWalk(names, o)
	}
	return openArchive(names[0], o)
}

// Send sends files and folders on one pipe, and takes the receiver's answers from
// the other. It returns nil only when all of them are stored at the receiver, or
// were there already. An entry that cannot be sent or stored is reported and does
// not stop the rest; the error is an [Incomplete] then. The caller closes the
// pipes.
func Send(ctx context.Context, names []string, from io.Reader, to io.Writer, o SendOptions) (Summary, error) {
	find, err := newFinder(names, o)
	if err != nil {
		return Summary{}, err
	}
	again := func(o SendOptions) (finder, error) { return newFinder(names, o) }
	if a, ok := find.(*archiveReader); ok { // to list it takes a read of all headers
		second := a.again()
		again = func(o SendOptions) (finder, error) {
			second.exclusion = newExclusion(o)
			return second, nil
		}
	}
	return sendFound(ctx, find, again, newFrameReader(from), newFrameWriter(to), o)
}

// sendFound sends what a finder finds, and closes it. A second finder counts.
func sendFound(ctx context.Context, find finder, again func(SendOptions) (finder, error), r *frameReader, w *frameWriter, o SendOptions) (Summary, error) {
	looks := o.Progress != nil
	if !looks {
		o.Progress = new(Progress) // the receiver may ask
	}
	count := &counter{o: o, again: again}
	defer count.stop()
	if looks {
		count.start()
	}
	s := &sender{
		o: o, find: find, count: count, w: w, buf: make([]byte, proto.MaxChunkBytes), hash: digest.New(),
		problems: problems{report: o.Report}, sentFiles: sentFiles{},
	}
	s.answers = readAnswers(r, &s.problems)
	stored, err := s.sendAll(ctx)
	if err != nil {
		return Summary{}, err
	}
	s.problems.setRefused(stored.Refused, stored.Code)
	sum := Summary{Files: stored.Files, Skipped: stored.Skipped, Bytes: s.sent, Failed: s.problems.failed, Refused: stored.Refused, Excluded: find.excluded()}
	if stored.Bytes > 0 {
		sum.Bytes = stored.Bytes
	}
	sum.Untaken = s.lastID == 0 && sum.Failed == 0
	return sum, s.problems.err()
}

// sender announces items, and sends data where the receiver wants it:
//
//	finder -> announce -> waiting -> answer -> data
//	                  \-- now -------------/
type sender struct {
	o        SendOptions
	find     finder
	count    *counter
	w        *frameWriter
	problems problems
	buf      []byte
	hash     *digest.Hasher
	sentFiles
	hole int64 // zeros of the file that FILES_HOLE has still to announce

	lastID  int64
	leaves  int64 // files and links that were announced
	unsent  int64 // of them, files that could not be sent after that
	size    int64 // of the files that were announced
	sent    int64 // bytes in the files of which data was sent, without holes
	waiting []waiting
	// held says that nothing more is announced until the answer to a folder at the
	// top arrives: it decides whether what is in the folder needs answers.
	held    bool
	answers *answers
}

// waiting is an entry that was announced and needs an answer.
type waiting struct {
	id int64
	it *item
}

// sendAll sends all, and returns what the receiver says at the end.
func (s *sender) sendAll(ctx context.Context) (*wire.Stored, error) {
	defer func() {
		for _, w := range s.waiting {
			w.it.tree.release()
		}
		s.find.close()
	}()
	begun := false
	for ended := false; !ended || len(s.waiting) > 0; {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if err := s.count.tell(s.w); err != nil {
			return nil, err
		}
		a, err := s.answers.poll()
		if err != nil {
			return nil, err
		}
		mayAnnounce := !ended && !s.held && len(s.waiting) < proto.MaxPending
		if a == nil && !mayAnnounce {
			if err := s.w.flush(); err != nil {
				return nil, err
			}
			if a, err = s.answers.wait(ctx); err != nil {
				return nil, err
			}
		}
		if a != nil {
			if !begun && s.o.Begun != nil {
				s.o.Begun()
			}
			begun = true
			err = s.handleAnswer(ctx, a)
		} else if it := s.find.next(); it != nil {
			err = s.announce(ctx, it)
		} else {
			ended = true
		}
		if err != nil {
			return nil, err
		}
	}
	failed, code := s.problems.failures()
	total := &wire.Total{Entries: s.lastID, Failed: failed, Code: code}
	if err := errors.Join(s.w.writeMessage(total), s.w.flush()); err != nil {
		return nil, err
	}
	stored, err := s.answers.waitStored()
	if err == nil {
		err = s.checkStored(stored)
	}
	return stored, err
}

// checkStored checks that the receiver accounts for every file and link. It may have
// refused folders as well.
func (s *sender) checkStored(m *wire.Stored) error {
	sent := s.leaves - s.unsent
	if m.Files > sent || m.Skipped > sent-m.Files || m.Refused < sent-m.Files-m.Skipped {
		return proto.Errorf(proto.Protocol, "the peer stored %d files, had %d and refused %d: %d were sent", m.Files, m.Skipped, m.Refused, sent)
	}
	if m.Bytes > s.size {
		return proto.Errorf(proto.Protocol, "the peer stored %d bytes, and %d were announced", m.Bytes, s.size)
	}
	return nil
}
