package files

import (
	"context"
	"errors"

	"mesh/pipe/files/disk"
	"mesh/proto"
	"mesh/proto/wire"
)

// receiver takes the sender's frames, as [frameHandler]. Its methods stand in the
// order in which a name goes through them.
type receiver struct {
	o        ReceiveOptions
	r        *frameReader
	w        *frameWriter
	problems problems
	order    *order
	folders  folderStack
	existing existing
	queue    queue
	incoming incoming
	store    *store
	account  *account         // may be nil
	linked   map[string]*part // files that links may lead to, by their paths
	skipped  int64
	named    bool // a file has got the name ReceiveOptions.As
}

// handleEntry takes an announcement: it stores or refuses it and answers, or with "now"
// takes the data that follows.
func (r *receiver) handleEntry(ctx context.Context, m *wire.Entry) error {
	if r.incoming.wanted != nil || m.Now && r.queue.files > 0 {
		return errOrder(m)
	}
	if err := r.order.countEntry(m); err != nil {
		return err
	}
	answer, err := r.placeEntry(ctx, m)
	if refused, ok := errors.AsType[*refusal](err); ok {
		return r.refuseEntry(m, refused.reason)
	}
	if err != nil || m.Now {
		return err
	}
	return r.answer(m, answer)
}

// answer answers an entry that waits for an answer. It takes a value, so that an entry
// with "now" allocates none.
func (r *receiver) answer(m *wire.Entry, a wire.Answer) error {
	a.ID, a.Count = m.ID, r.r.asks()
	return r.w.writeMessage(&a)
}

// placeEntry checks the path of an entry, and goes to the folder that it is in.
func (r *receiver) placeEntry(ctx context.Context, m *wire.Entry) (wire.Answer, error) {
	if err := CheckPath(m.Path, r.o.names()); err != nil {
		return wire.Answer{}, refuse(err)
	}
	at, err := r.order.placeEntry(m)
	if err != nil {
		return wire.Answer{}, err
	}
	for len(r.folders) > at.depth {
		if err := r.leaveFolder(); err != nil {
			return wire.Answer{}, err
		}
	}
	in := r.folders.top()
	if err := r.wakeFolder(in); err != nil {
		return wire.Answer{}, refuseUnlessFull(in.path, err)
	}
	answer, err := r.storeEntry(ctx, m, in, at)
	if refused, ok := errors.AsType[*refusal](err); ok && m.Kind == wire.EntryFolder {
		r.folders.push(refusedFolder(m, in, at.name, proto.CodeOf(refused)))
	}
	return answer, err
}

// storeEntry stores an entry in its folder, or wants its data.
func (r *receiver) storeEntry(ctx context.Context, m *wire.Entry, in *folder, at place) (wire.Answer, error) {
	name := at.name
	switch {
	case in.refused != 0:
		return wire.Answer{}, refuse(proto.Errorf(in.refused, "%w", errInRefused))
	case len(at.rivals) > 0 && (r.o.names().isStrict() || len(at.rivals) == maxRivals):
		return wire.Answer{}, refuse(errCollision)
	case r.o.As == "":
	case m.Kind == wire.EntryFolder && r.order.asked.isAbove(m.Path):
		return wire.Answer{}, nil // the file in it is stored without it
	case r.named || m.Kind != wire.EntryFile:
		return wire.Answer{}, refuse(errOneFile)
	default:
		name, r.named = r.o.As, true
	}
	if err := checkRivals(in.disk, name, at.rivals); err != nil {
		return wire.Answer{}, refuse(err)
	}
	switch m.Kind {
	case wire.EntryFolder:
		f, err := makeFolder(m, in, name, r.openFolder)
		if err != nil {
			return wire.Answer{}, err
		}
		r.folders.push(f)
		return wire.Answer{Fresh: f.fresh, Links: m.Links && !m.Now && f.fresh && !isShortOfFiles()}, nil
	case wire.EntrySymlink:
		return r.storeSymlink(m, in, name)
	case wire.EntryLink:
		return wire.Answer{}, r.storeHardLink(&link{folder: in, entry: m, name: name, rivals: at.rivals, target: r.linked[m.Target]})
	}
	w := &wanted{entry: m, in: in, name: name, rivals: at.rivals}
	if m.Now {
		return wire.Answer{}, r.receiveNow(w)
	}
	return r.wantFile(ctx, w)
}

func (r *receiver) storeSymlink(m *wire.Entry, in *folder, name string) (wire.Answer, error) {
	if err := checkLinkTarget(m.Path, m.Target, r.o.names()); err != nil {
		return wire.Answer{}, refuse(err)
	}
	found, err := compareSymlink(r.account, m, in, name)
	switch {
	case err != nil:
		return wire.Answer{}, err
	case found == ofPeer:
		r.skip(in, Arrival{Name: name})
		return wire.Answer{Skip: true}, nil
	case found == ofOthers:
		r.store.addExisting(in, Arrival{Name: name}, 1, 0)
		return wire.Answer{}, nil
	}
	if err := makeSymlink(m, in, name); err != nil {
		return wire.Answer{}, err
	}
	noteSymlink(r.account, m, in, name)
	r.store.addExisting(in, Arrival{Name: name, Stored: 1}, 1, 0)
	return wire.Answer{}, nil
}

// wantFile compares a file with what is there, and queues it unless it is the
// same.
func (r *receiver) wantFile(ctx context.Context, w *wanted) (wire.Answer, error) {
	answer, err := r.existing.compare(ctx, w)
	if disk.IsShort(err) {
		err = r.store.retry(err, func() (err error) { answer, err = r.existing.compare(ctx, w); return err })
	}
	if err != nil {
		return answer, err
	}
	if answer.Skip {
		r.o.Progress.add(w.entry.Size)
		r.skip(w.in, arrivalOf(w, w.entry.Digest))
		return answer, nil
	}
	if err := checkRoom(w); err != nil {
		return answer, err
	}
	return answer, r.queue.pushFile(w)
}

// receiveNow takes a file whose data follows its entry: all of a small one, or the
// beginning of a large one.
func (r *receiver) receiveNow(w *wanted) error {
	if w.entry.Small() {
		return r.receiveSmall(w)
	}
	if err := checkRoom(w); err != nil {
		return err
	}
	if err := r.begin(w, 0); err != nil {
		return refuseUnlessFull(w.in.path, err)
	}
	return nil
}

// begin begins with a file whose data arrives from an offset.
func (r *receiver) begin(w *wanted, offset int64) error {
	begin := func() error { return r.incoming.begin(w, offset, r.o.Owner) }
	return r.store.retry(begin(), begin)
}

func (r *receiver) receiveSmall(w *wanted) error {
	if err := w.in.open(); err != nil {
		return refuse(err)
	}
	body, err := readSmall(r.r, w.entry)
	if err != nil {
		w.in.close()
		return err
	}
	p := &part{folder: w.in, entry: w.entry, name: w.name, rivals: w.rivals, owner: r.o.Owner}
	r.store.addSmall(p, body)
	return r.noteLinked(p)
}

// noteLinked notes a file that links may lead to.
func (r *receiver) noteLinked(p *part) error {
	if !p.entry.Links {
		return nil
	}
	if len(r.linked) == proto.MaxLinked {
		return errOrder(p.entry)
	}
	if r.linked == nil {
		r.linked = make(map[string]*part)
	}
	r.linked[p.entry.Path] = p
	return nil
}

// storeHardLink hands over another name of a file.
func (r *receiver) storeHardLink(l *link) error {
	if l.target == nil {
		return refuse(errNoTarget)
	}
	if err := l.folder.open(); err != nil {
		return refuse(err)
	}
	r.store.addLink(l)
	return nil
}

// handleFrom takes FILES_FROM: the data of the first file in the queue follows.
func (r *receiver) handleFrom(m *wire.From) error {
	w := r.queue.first()
	if r.incoming.wanted != nil || w == nil || w.entry.ID != m.ID || m.From != 0 && m.From != w.have {
		return errOrder(m)
	}
	r.o.Progress.add(m.From)
	err := r.begin(w, m.From)
	if err == nil || endsTransfer(err) {
		return errWriting(w.entry, err)
	}
	r.incoming = incoming{wanted: w, refused: true}
	return r.refuseLate(w.in, w.entry.Path, err)
}

// refuseLate notes and reports that an entry is not stored after all.
func (r *receiver) refuseLate(in *folder, path string, err error) error {
	reason := refuse(err)
	in.top.markIncomplete()
	r.problems.addRefused(proto.EscapeText(path), reason)
	return r.w.writeMessage(&wire.Refused{Path: path, Code: proto.CodeOf(reason), Why: r.why(reason)})
}

// why returns what the sender hears of the reason why an entry is not stored.
func (r *receiver) why(reason error) string {
	if !r.o.Minor1 {
		return ""
	}
	return wordsOf(reason)
}

// handleData takes a piece of the file whose data arrives.
func (r *receiver) handleData(body []byte) error { return r.incoming.writeData(body) }

// handleEnd takes FILES_END: all of a file has arrived, or the sender cannot send it.
func (r *receiver) handleEnd(ctx context.Context, m *wire.End) error {
	w := r.incoming.wanted
	if w == nil && m.Code != 0 {
		w = r.queue.first() // of which nothing has arrived
	}
	if w == nil || w.entry.ID != m.ID {
		return errOrder(m)
	}
	if r.incoming.refused {
		r.incoming = incoming{}
		return r.leaveFile(w)
	}
	if m.Code != 0 {
		if r.incoming.wanted == nil {
			r.o.Progress.add(w.entry.Size)
		}
		r.incoming.discard()
		r.noteUnsent(w, m.Code)
		return r.leaveFile(w)
	}
	p, err := r.incoming.complete(*m.Digest)
	if err != nil {
		return err
	}
	switch {
	case p != nil:
		r.store.addPart(p)
		if err := r.noteLinked(p); err != nil {
			return err
		}
	case w.there == nil:
		r.skip(w.in, arrivalOf(w, m.Digest))
	default:
		if err := r.takeGuess(ctx, w, *m.Digest); err != nil {
			return err
		}
	}
	return r.leaveFile(w)
}

// takeGuess keeps the file that has the name of one that has arrived, if both hold the
// same: the sender does not hear that the file was there before. Else the sender's is
// refused.
func (r *receiver) takeGuess(ctx context.Context, w *wanted, sum wire.Digest) error {
	same, err := r.existing.isSame(ctx, w, sum)
	switch {
	case err == nil && same:
		r.store.addExisting(w.in, arrivalOf(w, &sum), 1, w.entry.Size-w.entry.Holes)
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil:
		err = ErrIsThere
	}
	return r.refuseLate(w.in, w.entry.Path, err)
}

// handleTotal takes FILES_TOTAL: nothing else is announced. It leaves all folders, and
// lets the store publish what it holds.
func (r *receiver) handleTotal(m *wire.Total) error {
	if r.incoming.wanted != nil || r.queue.files > 0 || m.Entries != r.order.last {
		return errOrder(m)
	}
	r.problems.setFailed(m.Failed, m.Code)
	r.o.Progress.complete()
	for len(r.folders) > 1 {
		if err := r.leaveFolder(); err != nil {
			return err
		}
	}
	r.store.release()
	return nil
}

// skip counts a file or a link that is there already.
func (r *receiver) skip(in *folder, a Arrival) {
	r.skipped++
	r.store.addExisting(in, a, 0, 0)
}

// noteUnsent notes that the sender could not send a file, or that another one is
// there which stays.
func (r *receiver) noteUnsent(w *wanted, code proto.Code) {
	w.in.top.markIncomplete()
	path := proto.EscapeText(w.entry.Path)
	if code == proto.Unsafe {
		r.problems.addRefused(path, ErrIsThere)
		return
	}
	r.problems.addFailed(path, proto.Errorf(code, "the peer could not send it (%s): %s", code, code.OfPeer()))
}

// refuseEntry notes and answers that an entry is not stored, and reads over the
// data that follows it.
func (r *receiver) refuseEntry(m *wire.Entry, reason error) error {
	r.folders.arrivalOf(m.Path).markIncomplete()
	r.problems.addRefused(proto.EscapeText(m.Path), reason)
	code := proto.CodeOf(reason)
	if !m.Now {
		if m.Kind == wire.EntryFile {
			r.o.Progress.add(m.Size)
		}
		return r.answer(m, wire.Answer{Code: code, Why: r.why(reason)})
	}
	if err := r.w.writeMessage(&wire.Refused{Path: m.Path, Code: code, Why: r.why(reason)}); err != nil || m.Kind != wire.EntryFile {
		return err
	}
	return skipData(r.r, m)
}

// beforeRead tells the sender what the store has refused meanwhile, and sends the
// answers if nothing else has arrived.
func (r *receiver) beforeRead(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if r.store.results.failure() != nil {
		return errStoreFailed
	}
	refused, reasons := r.store.results.takeRefused()
	for i := range refused {
		r.problems.addRefused(proto.EscapeText(refused[i].Path), reasons[i])
		refused[i].Why = r.why(reasons[i])
		if err := r.w.writeMessage(&refused[i]); err != nil {
			return err
		}
	}
	if r.r.buffered() {
		return nil
	}
	r.store.flush()
	return r.w.flush()
}
