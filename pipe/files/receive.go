package files

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"

	"mesh/proto"
	"mesh/proto/wire"
)

// ReceiveOptions are what [Receive] may be told. The zero value will do.
type ReceiveOptions struct {
	// Force replaces files and links that are there, Rename gives what comes
	// another name; else a file that is there is refused.
	Force, Rename bool
	// Portable refuses names that some system can't store.
	Portable bool
	// MaxBytes and MaxEntries bound what is announced; 0 for no bound.
	MaxBytes, MaxEntries int64
	// As, if it is set, is the name under which one file is stored, and nothing
	// else.
	As string
	// Owner says whose files these are. What is unfinished goes on only for the
	// same.
	Owner string
	// Report, if it is set, is told of each entry that is not sent or not
	// stored. The path is safe to print.
	Report func(path string, err error)
	// Arrived, if it is set, is called for what was sent by name when that is
	// durable here, one after the other; also when the transfer fails later, and
	// also for what was there already. The sender is told of the end only when all
	// calls have returned. An error ends the transfer.
	Arrived func(Arrival) error
}

// receiver is one run of [Receive].
type receiver struct {
	ctx   context.Context
	o     ReceiveOptions
	r     *frameReader
	w     *frameWriter
	store *store
	temps temps
	tally tally
	order *order

	// stack are the folders that the entry announced last is in.
	stack []*folder
	// queue are the files that were taken and whose data is still to come, and
	// among them the folders that were left meanwhile.
	queue   []queued
	files   int   // in the queue
	current *part // whose data comes
	compare *want // whose data is there already, and is being proven
	skipped int64
	buf     []byte // of hash
}

// maxQueue bounds the queue: the entries that may wait, and the folders that they
// are in.
const maxQueue = proto.MaxPending + proto.MaxDepth

// queued is a file to come, or a folder to settle behind those before it.
type queued struct {
	want   *want
	folder *folder
}

// Receive stores the files and folders that come from one pipe below an open
// folder, and tells the sender over the other what it has and what it lacks. It
// returns nil only when all that was announced is durable there. What is not
// stored is reported and does not hold up the rest. When it fails, what was
// complete stays.
func Receive(ctx context.Context, in *os.Root, from io.Reader, to io.Writer, o ReceiveOptions) (Summary, error) {
	file, err := in.Open(".")
	if err != nil {
		return Summary{}, proto.IOError(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return Summary{}, proto.IOError(err)
	}
	base := &folder{root: &directory{in, file}, uses: 1, found: info, mu: new(sync.Mutex)}
	r := &receiver{
		ctx: ctx, o: o, r: newFrameReader(from), w: newFrameWriter(to), temps: newTemps(),
		tally: tally{report: o.Report}, order: newOrder(o), stack: []*folder{base},
	}
	r.store = newStore(base, o, r.temps.next())
	err = takeFrames(r.r, r)
	if err == nil {
		err = r.leaveAll()
	}
	r.abandon()
	if serr := r.store.finish(); err == nil || errors.Is(err, errStore) {
		err = serr
	}
	if err == nil {
		err = r.finish()
	}
	sum := Summary{Files: r.store.files, Skipped: r.skipped, Failed: r.tally.failed, Refused: r.tally.refused}
	if err != nil {
		return sum, err
	}
	return sum, r.tally.err()
}

// errStore says that the store has failed, and why.
var errStore = errors.New("store has failed")

// ready sends what is to be told before waiting for more.
func (r *receiver) ready() error {
	if err := context.Cause(r.ctx); err != nil {
		return err
	}
	if r.store.failed() != nil {
		return errStore
	}
	refused, reasons := r.store.takeRefused()
	for i := range refused {
		r.tally.refuse(proto.EscapeText(refused[i].Path), reasons[i])
		if err := r.w.message(&refused[i]); err != nil {
			return err
		}
	}
	if r.r.r.Buffered() > 0 {
		return nil
	}
	r.store.hand()
	return r.w.flush()
}

// entry takes an announcement.
func (r *receiver) entry(m *wire.Entry) error {
	if r.current != nil || r.compare != nil || m.Now && r.files > 0 {
		return disorder(m)
	}
	if err := r.order.count(m); err != nil {
		return err
	}
	if err := CheckPath(m.Path, r.o.Portable); err != nil {
		return r.refuse(m, err)
	}
	depth, name, twin, err := r.order.place(m)
	if err != nil {
		return err
	}
	for len(r.stack) > depth {
		if err := r.leave(); err != nil {
			return err
		}
	}
	in := r.top()
	switch {
	case in.refused != 0:
		return r.refuseFolder(m, in, name, proto.Errorf(in.refused, "its folder is not stored"))
	case twin:
		return r.refuseFolder(m, in, name, errTwin)
	case r.o.As != "" && (m.ID > 1 || m.Kind != wire.EntryFile):
		return r.refuseFolder(m, in, name, proto.Errorf(proto.Unsafe, "one file was to come, and nothing else"))
	}
	switch m.Kind {
	case wire.EntryFolder:
		return r.folder(m, in, name)
	case wire.EntrySymlink:
		return r.symlink(m, in, name)
	}
	if r.o.As != "" {
		name = r.o.As
	}
	return r.file(m, in, name)
}

func (r *receiver) top() *folder { return r.stack[len(r.stack)-1] }

// answer sends an answer to an entry that waits for one.
func (r *receiver) answer(m *wire.Entry, a wire.Answer) error {
	if m.Now {
		return nil
	}
	a.ID = m.ID
	return r.w.message(&a)
}

// refuse does not store an entry, and drops what comes of it.
func (r *receiver) refuse(m *wire.Entry, err error) error {
	err = refusal(err)
	if !m.Now {
		r.lack(m, err)
		return r.answer(m, wire.Answer{Code: proto.CodeOf(err)})
	}
	if err := r.drop(m, err); err != nil || m.Kind != wire.EntryFile {
		return err
	}
	return r.discard(m)
}

// drop does not store an entry that waits for no answer, and of which all has
// come.
func (r *receiver) drop(m *wire.Entry, err error) error {
	r.lack(m, err)
	return r.w.message(&wire.Refused{Path: m.Path, Code: proto.CodeOf(err)})
}

// lack takes note of an entry that is not stored, nor what was sent by name whole.
func (r *receiver) lack(m *wire.Entry, err error) {
	if len(r.stack) > 1 && strings.HasPrefix(m.Path, r.stack[1].path+"/") {
		r.store.spoil(r.stack[1].top)
	}
	r.tally.refuse(proto.EscapeText(m.Path), err)
}

// refuseFolder is refuse for an entry that others may be in.
func (r *receiver) refuseFolder(m *wire.Entry, in *folder, name string, err error) error {
	if m.Kind == wire.EntryFolder {
		r.stack = append(r.stack, &folder{parent: in, name: name, path: m.Path, refused: proto.CodeOf(refusal(err)), mu: in.mu})
	}
	return r.refuse(m, err)
}

// refusal gives an error one of the codes that single entries have. What is
// wrong with more than the entry is not refused, but ends the transfer.
func refusal(err error) error {
	if proto.CodeOf(err) == proto.Unsafe {
		return err
	}
	return proto.Errorf(proto.IO, "%w", cause(err))
}

// discard reads over the data of a file that came unasked and was refused.
func (r *receiver) discard(m *wire.Entry) error {
	if m.Size == 0 {
		return nil
	}
	for bytes := int64(0); ; {
		t, body, err := r.r.next(wire.TypeData, wire.TypeEnd)
		if err != nil {
			return err
		}
		if t == wire.TypeEnd {
			var e wire.End
			if err := wire.ParseBody(body, &e); err != nil {
				return err
			}
			if m.Small() || e.ID != m.ID {
				return disorder(&e)
			}
			return nil
		}
		if bytes += int64(len(body)); bytes > m.Size || m.Small() && bytes != m.Size {
			return errMore
		}
		if m.Small() {
			return nil
		}
	}
}

// leave leaves the folder on top of the stack. It is settled when all files in
// it are there.
func (r *receiver) leave() error {
	f := r.top()
	r.stack = r.stack[:len(r.stack)-1]
	if f.refused != 0 {
		return nil
	}
	if len(r.queue) > 0 {
		f.close()
		if len(r.queue) >= maxQueue {
			return proto.Errorf(proto.Protocol, "more than %d entries wait for a file", maxQueue)
		}
		r.queue = append(r.queue, queued{folder: f})
		return nil
	}
	r.store.add(job{folder: f})
	return nil
}

func (r *receiver) leaveAll() error {
	for len(r.stack) > 1 {
		if err := r.leave(); err != nil {
			return err
		}
	}
	return nil
}

// total takes the sender's end.
func (r *receiver) total(m *wire.Total) error {
	if r.current != nil || r.compare != nil || r.files > 0 || m.Entries != r.order.last {
		return disorder(m)
	}
	r.tally.mu.Lock()
	defer r.tally.mu.Unlock()
	r.tally.failed = m.Failed
	if r.tally.code == 0 {
		r.tally.code = m.Code
	}
	return nil
}

// finish tells the sender that all is stored.
func (r *receiver) finish() error {
	if err := r.ready(); err != nil {
		return err
	}
	m := &wire.Stored{Files: r.store.files, Skipped: r.skipped, Refused: r.tally.refused}
	if m.Refused > 0 {
		m.Code = r.tally.code
	}
	if err := errors.Join(r.w.message(m), r.w.flush()); err != nil {
		return err
	}
	return r.r.end()
}

// abandon closes what the end of the transfer has left open.
func (r *receiver) abandon() {
	if r.current != nil {
		r.current.leave()
	}
	for len(r.stack) > 1 {
		if f := r.top(); f.refused == 0 {
			f.close()
		}
		r.stack = r.stack[:len(r.stack)-1]
	}
}

func modeOf(m *wire.Entry) os.FileMode { return os.FileMode(m.Mode) & 0o777 }

func errFull(m *wire.Entry, free int64) error {
	return proto.Errorf(proto.Space, "%s needs %d bytes, and %d are free", proto.QuoteText(m.Path), m.Size, free)
}
