package pipe

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"mesh/pipe/digest"
	"mesh/proto"
	"mesh/proto/wire"
)

// minorIdleAck is the minor version from which on a receiver acknowledges all that it has
// taken before FILE_DONE: see [proto.IdleAck].
const minorIdleAck = 3

// Fanout sends one source to several peers. Each of them is a branch, an ordinary
// [Exchange] with a link, flows, resumption and a receipt of its own, of the source that
// [Fanout.Branch] returns. The branches share one window of blocks, which is filled by one
// reader, hashed once, and freed block by block when every branch has done with it:
//
//	source -> Run -> hash, buffer [released … end] -> outgoing of branch 0, 1, 2 …
//
// So the memory for 16 peers is that for one. The source goes at the pace of the slowest
// branch once the buffer is full; [Set] decides for how long.
//
// FILE_DONE of every branch waits until the source has ended with status 0 and enough
// branches have taken every byte. Until then no receiver may publish anything.
//
// A branch never waits for another one with its own lock held, and what it learns of the
// others is where the source ends. The lock of an outgoing comes before that of its Fanout.
type Fanout struct {
	// Counters count what enough peers have taken.
	Counters Counters

	options FanoutOptions
	keep    int64
	hash    *digest.Hasher // used by Run alone

	mu      sync.Mutex
	changed sync.Cond // on mu
	buffer  sendBuffer
	known   known
	list    []*branch
}

// known is what the branches know of the source.
type known struct {
	end    int64
	eof    bool // end, status and digest are final
	open   bool // FILE_DONE may go out
	status int
	digest wire.Digest
}

// branch is one peer's place in the shared buffer.
type branch struct {
	fan    *Fanout
	digest wire.Digest // guarded by the lock of the branch's outgoing, as is open
	open   bool
	exact  bool // the receiver acknowledges all that it has taken

	// These are guarded by the lock of the Fanout.
	out            *outgoing // nil before there is a link
	released, next int64
	all            bool // the peer has taken every byte
	sending        bool // there is a link that takes bytes
	gone           bool
}

// FanoutOptions are the settings of a [Fanout].
type FanoutOptions struct {
	// Branches is how many peers there are, and Need how many of them must take everything.
	Branches, Need int
	// Window is how many bytes of the source are kept in memory, and Spool, if that is more,
	// how many in a file.
	Window, Spool int64
	// Typed is that of the source.
	Typed bool
	// Commit is called before FILE_DONE goes out. If it fails, that does not go out.
	Commit func() error
}

// NewFanout returns a Fanout. Call [Fanout.Close] when all branches have ended.
func NewFanout(o FanoutOptions) (*Fanout, error) {
	f := &Fanout{options: o, hash: digest.New()}
	f.changed.L = &f.mu
	var err error
	if f.keep, err = f.buffer.limit(o.Window, o.Spool); err != nil {
		return nil, err
	}
	for range o.Branches {
		f.list = append(f.list, &branch{fan: f})
	}
	return f, nil
}

// Close removes the spool, if there is one.
func (f *Fanout) Close() { f.buffer.close() }

// Branch returns the source for the exchange of branch i. The exchange must be granted
// [proto.CapSend] alone.
func (f *Fanout) Branch(i int) *Source {
	return &Source{Typed: f.options.Typed, branch: f.list[i]}
}

// Run reads a source to its end, waits until enough branches have all of it, and lets all
// of them end then. It returns the status of the source's producer. When ctx ends before,
// Run returns the cause; it may still be blocked in a read of the source, and returns after
// that.
func (f *Fanout) Run(ctx context.Context, source *Source) (status int, err error) {
	defer context.AfterFunc(ctx, f.wake)()
	if err := f.read(ctx, source); err != nil {
		return 0, err
	}
	if source.Status != nil {
		status = source.Status()
	}
	// After a producer that failed FILE_DONE says so, and nothing is published.
	f.tell(func(k *known) { k.eof, k.status, k.digest, k.open = true, status, f.hash.Sum(), status != 0 })
	if status != 0 {
		return status, nil
	}
	if err := f.wait(ctx, func() bool { return f.haveAllLocked() >= f.options.Need }); err != nil {
		return 0, err
	}
	if err := f.options.Commit(); err != nil {
		return 0, err
	}
	f.tell(func(k *known) { k.open = true })
	return 0, nil
}

func (f *Fanout) read(ctx context.Context, source *Source) error {
	for {
		if err := f.wait(ctx, func() bool { return !f.fullLocked() }); err != nil {
			return err
		}
		room := f.room()
		n, err := source.Read(room)
		if n > 0 {
			_, _ = f.hash.Write(room[:n]) // never fails
			if err := f.commit(n); err != nil {
				return proto.IOError(err)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return readError(err)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
	}
}

// wait blocks until a condition holds, which is evaluated with the lock held.
func (f *Fanout) wait(ctx context.Context, holds func() bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !holds() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		f.changed.Wait()
	}
	return nil
}

func (f *Fanout) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changed.Broadcast()
}

// room returns space for bytes of the source. The buffer is not full.
func (f *Fanout) room() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	room := f.buffer.room()
	return room[:min(int64(len(room)), f.keep-(f.buffer.end-f.releasedLocked()))]
}

func (f *Fanout) commit(n int) error {
	f.mu.Lock()
	err := f.buffer.commit(n)
	end := f.buffer.end
	f.mu.Unlock()
	if err == nil {
		f.tell(func(k *known) { k.end = end })
	}
	return err
}

// tell changes what the branches know. Only Run calls it.
func (f *Fanout) tell(change func(*known)) {
	f.mu.Lock()
	change(&f.known)
	k := f.known
	var outs []*outgoing
	for _, b := range f.list {
		if b.out != nil && !b.gone {
			outs = append(outs, b.out)
		}
	}
	f.mu.Unlock()
	for _, o := range outs {
		o.learn(k)
	}
}

// fullLocked reports whether the source has been read far enough for now: as far as keep
// allows, or without a spool so far that no link that takes bytes has to wait for more.
func (f *Fanout) fullLocked() bool {
	if f.buffer.end-f.releasedLocked() >= f.keep {
		return true
	}
	ahead := int64(0)
	for _, b := range f.list {
		if b.sending && !b.gone {
			ahead = max(ahead, b.next)
		}
	}
	return f.buffer.spool == nil && ahead > 0 && f.buffer.end-ahead >= readAheadBytes
}

// releasedLocked returns the offset before which no branch needs a byte any more.
func (f *Fanout) releasedLocked() int64 {
	least := f.buffer.end
	for _, b := range f.list {
		if !b.gone {
			least = min(least, b.released)
		}
	}
	return least
}

func (f *Fanout) haveAllLocked() (n int) {
	for _, b := range f.list {
		if b.all {
			n++
		}
	}
	return n
}

// Holders returns the branches that hold the others up now: the buffer is full because of
// what they have not taken, and at least need others have nothing left to send.
func (f *Fanout) Holders() (list []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	least := f.releasedLocked()
	if f.known.eof || f.buffer.end-least < f.keep {
		return nil
	}
	for i, b := range f.list {
		if !b.gone && b.released/blockBytes == least/blockBytes && f.idleLocked(b) >= f.options.Need {
			list = append(list, i)
		}
	}
	return list
}

// idleLocked returns how many branches beside b have sent all that there is.
func (f *Fanout) idleLocked(b *branch) (n int) {
	for _, other := range f.list {
		if other != b && !other.gone && other.next == f.buffer.end {
			n++
		}
	}
	return n
}

// countLocked notes how many bytes of the source enough peers have taken.
func (f *Fanout) countLocked() {
	var taken []int64
	for _, b := range f.list {
		if !b.gone || b.all {
			taken = append(taken, b.released)
		}
	}
	if len(taken) < f.options.Need { // the transfer fails
		return
	}
	slices.Sort(taken)
	f.Counters.Sent.Store(taken[len(taken)-f.options.Need])
}

// Leave ends branch i after its exchange has returned err. The others need not wait for it
// any more.
func (f *Fanout) Leave(i int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.list[i]
	b.gone, b.all = true, err == nil
	f.buffer.releaseBefore(f.releasedLocked())
	f.changed.Broadcast()
}
