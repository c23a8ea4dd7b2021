package files

import (
	"context"

	"mesh/proto"
	"mesh/proto/wire"
)

// handleAnswer does what the receiver says about the entry that has waited longest.
func (s *sender) handleAnswer(ctx context.Context, a *wire.Answer) error {
	if len(s.waiting) == 0 || s.waiting[0].id != a.ID {
		return errOrder(a)
	}
	if a.Count {
		s.count.ask()
	}
	it := s.waiting[0].it
	s.waiting = s.waiting[1:]
	defer it.tree.release()
	folder := it.kind == wire.EntryFolder
	unproven := a.Skip && it.kind == wire.EntryFile && it.size > proto.SmallFileBytes // its digest was not announced
	if a.Fresh && !folder || a.Have > 0 && it.kind != wire.EntryFile || a.Have > it.size || unproven {
		return proto.Errorf(proto.Protocol, "%s does not fit its entry", a.Type())
	}
	if folder {
		s.held = s.held && it.in != nil
		it.inside.fresh, it.inside.links = a.Fresh, a.Links && s.o.Links
	}
	switch {
	case a.Code != 0 && a.Have == 0:
		s.problems.addRefusedByPeer(it.path, a.Code, a.Why)
		if folder {
			s.find.prune(it.inside)
		} else {
			s.o.Progress.add(it.size)
		}
		return nil
	case a.Skip || it.kind != wire.EntryFile:
		s.o.Progress.add(it.size)
		return nil
	}
	return s.sendFile(ctx, a, it)
}

// answers reads what the receiver says, in a goroutine.
type answers struct {
	r        *frameReader
	problems *problems
	queue    chan *wire.Answer // sent and closed by read
	stored   *wire.Stored      // set before queue is closed, unless err is
	err      error
}

// readAnswers begins to read. The goroutine ends when the receiver's frames end, or
// the pipe is closed by its owner.
func readAnswers(r *frameReader, p *problems) *answers {
	a := &answers{r: r, problems: p, queue: make(chan *wire.Answer, proto.MaxPending)}
	go func() {
		defer close(a.queue)
		a.stored, a.err = a.read()
	}()
	return a
}

// poll returns the next answer, nil if none has arrived.
func (a *answers) poll() (*wire.Answer, error) {
	select {
	case next, ok := <-a.queue:
		return a.check(next, ok)
	default:
		return nil, nil
	}
}

// wait waits for the next answer.
func (a *answers) wait(ctx context.Context) (*wire.Answer, error) {
	select {
	case next, ok := <-a.queue:
		return a.check(next, ok)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// check turns the end of the answers, which comes too early, into an error.
func (a *answers) check(next *wire.Answer, ok bool) (*wire.Answer, error) {
	switch {
	case ok:
		return next, nil
	case a.err != nil:
		return nil, a.err
	}
	return nil, errTypeOrder(wire.TypeStored)
}

// waitStored waits for the end of the answers, which may come now.
func (a *answers) waitStored() (*wire.Stored, error) {
	if next, ok := <-a.queue; ok {
		return nil, errOrder(next)
	}
	return a.stored, a.err
}

// read reads to the end.
func (a *answers) read() (*wire.Stored, error) {
	for {
		t, body, err := a.r.readFrame(wire.TypeAnswer, wire.TypeRefused, wire.TypeStored)
		if err != nil {
			return nil, err
		}
		switch t {
		case wire.TypeAnswer:
			m := new(wire.Answer)
			if err := wire.ParseBody(body, m); err != nil {
				return nil, err
			}
			select {
			case a.queue <- m:
			default: // no more entries than fit can be waiting
				return nil, proto.Errorf(proto.Protocol, "%s without an entry", t)
			}
		case wire.TypeRefused:
			var m wire.Refused
			if err := wire.ParseBody(body, &m); err != nil {
				return nil, err
			}
			a.problems.addRefusedByPeer(m.Path, m.Code, m.Why)
		default:
			m := new(wire.Stored)
			if err := wire.ParseBody(body, m); err != nil {
				return nil, err
			}
			return m, nil
		}
	}
}
