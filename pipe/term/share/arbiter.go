package share

import (
	"slices"
	"sync"
	"time"

	"mesh/proto"
)

const (
	// leaseTime is how long nobody else may type after somebody typed.
	leaseTime = 250 * time.Millisecond
	// pasteTime is how long a paste may pause before it counts as ended. heldTime is how
	// long a sequence waits for its end.
	pasteTime = 2 * time.Second
	heldTime  = 50 * time.Millisecond
	// unmarkedTime is how long a paste may pause that is not marked as one, and so cannot
	// be ended: longer than a viewer keeps the rest of it while its link is broken.
	unmarkedTime = 12 * time.Second
	// maxQueue bounds the input that the terminal has not accepted yet, in bytes. If it
	// is more than floodQueue, it is dropped when the sharer types.
	maxQueue   = 64 << 10
	floodQueue = 4 << 10
	// floodPause is the pause in a viewer's input that ends a flood, of which the sharer
	// has dropped a part: what follows is typed again.
	floodPause = 300 * time.Millisecond
)

// arbiter orders what several typists type. A typist has the terminal alone for
// the time of a lease, and for the whole of a paste. The sharer's own keyboard waits
// for nobody.
type arbiter struct {
	options       *Options // read only
	output        *output
	statusChanged func()
	sharer        *typist
	recent        recent
	flow          flow

	mu     sync.Mutex // guards what follows, and the marked fields of each typist
	cond   sync.Cond  // on mu
	queue  []piece
	queued int // bytes in the queue
	holder *typist
	until  time.Time // the end of the holder's lease
	closed bool
}

// piece is a part of the queue. by is nil for the emulator's replies. Once the piece is
// accepted or dropped, all of the typist's input before through is settled.
type piece struct {
	by      *typist
	bytes   []byte
	through int64
}

func newArbiter(o *Options, out *output, statusChanged func()) *arbiter {
	a := &arbiter{options: o, output: out, statusChanged: statusChanged, sharer: &typist{label: "sharer", local: true}}
	a.cond.L = &a.mu
	return a
}

// close ends run, and all waits for a turn to type.
func (a *arbiter) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.cond.Broadcast()
}

// run writes the queue to the terminal until the arbiter is closed. It may stay in a
// write to a terminal that accepts nothing.
func (a *arbiter) run() {
	for {
		p, ok := a.nextPiece()
		if !ok {
			return
		}
		if p.by != nil { // audited first: the input may end the command
			hidden := a.options.Hides != nil && a.options.Hides()
			a.options.Audit.countTyped(p.by, p.bytes, hidden)
		}
		var flow Flow
		if a.options.Flow != nil {
			flow = a.options.Flow()
		}
		_, err := a.options.Input.Write(p.bytes)
		p = a.removePiece(p)
		if err == nil { // the end of the command shows elsewhere
			a.flow.follow(p.bytes, flow, a.output.stream.position(), time.Now())
			a.noteAccepted(p)
		}
	}
}

// nextPiece waits for input and returns the first piece, which stays in the queue.
func (a *arbiter) nextPiece() (p piece, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.queue) == 0 && !a.closed {
		a.cond.Wait()
	}
	if a.closed {
		return piece{}, false
	}
	return a.queue[0], true
}

// removePiece removes the first piece, unless the queue was dropped meanwhile, and
// returns it. The lease of the typist goes on from now: that the terminal was slow is no
// pause in what is typed.
func (a *arbiter) removePiece(p piece) piece {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) > 0 && &a.queue[0].bytes[0] == &p.bytes[0] {
		p = a.queue[0]
		a.queue = a.queue[1:]
		a.queued -= len(p.bytes)
		if p.by != nil {
			p.by.queued -= len(p.bytes)
		}
	}
	if p.by != nil && p.by == a.holder {
		a.until = time.Now().Add(leaseTime)
	}
	a.cond.Broadcast()
	return p
}

// noteAccepted notes that the terminal has accepted a piece.
func (a *arbiter) noteAccepted(p piece) {
	t := p.by
	if t == nil {
		return
	}
	t.accept(len(p.bytes), p.through, a.output.stream.position())
	if a.recent.note(t, time.Now()) {
		a.statusChanged()
	} else if t.notify != nil {
		t.notify()
	}
}

// push queues bytes. It is called with mu held.
func (a *arbiter) push(by *typist, p []byte) {
	if len(p) == 0 || a.closed || a.options.Input == nil {
		return
	}
	added := piece{by: by, bytes: slices.Clone(p)}
	if by != nil {
		by.queued += len(p)
		added.through = by.received
	}
	a.queue = append(a.queue, added)
	a.queued += len(p)
	a.cond.Broadcast()
}

// drop removes pieces from the queue, and returns the typists whose pieces they are. It
// is called with mu held.
func (a *arbiter) drop(unwanted func(piece) bool) []*typist {
	var dropped []*typist
	a.queue = slices.DeleteFunc(a.queue, func(p piece) bool {
		if !unwanted(p) {
			return false
		}
		a.queued -= len(p.bytes)
		if p.by != nil {
			p.by.queued -= len(p.bytes)
			p.by.settle(p.through)
			dropped = append(dropped, p.by)
		}
		return true
	})
	a.cond.Broadcast()
	return dropped
}

// settleInput notes that n more bytes of t's input are received, and have been queued,
// held or dropped. It is called with mu held.
func (a *arbiter) settleInput(t *typist, n int) {
	t.received += int64(n)
	t.lastInput = time.Now()
	for i, p := range slices.Backward(a.queue) {
		if p.by == t {
			a.queue[i].through = t.received
			return
		}
	}
	t.settle(t.received)
	if t.notify != nil {
		t.notify()
	}
}

// typeReply types what the emulator replies to the program. A reply for which there is
// no room is dropped: the program does not read.
func (a *arbiter) typeReply(p []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.queued < maxQueue {
		a.push(nil, p)
	}
}

// typeLocal types what the sharer's own keyboard sends, as it is. If it has keys, and
// not only replies of the terminal, it ends the paste of another typist and drops the
// rest of it. It also drops a flood that the terminal does not accept, since the keys
// may be what ends it.
func (a *arbiter) typeLocal(p []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.sharer
	if !t.filter.HasKeys(p) {
		a.push(t, p)
		return
	}
	if a.queued > floodQueue {
		for _, by := range a.drop(func(piece) bool { return true }) {
			if by.dropFlood = !by.local && !by.inPaste(); by.dropFlood {
				by.lastInput = time.Now()
				by.tell("the sharer types: the rest of your input is dropped")
			}
		}
	}
	if a.holder != t {
		a.endPaste("the sharer types")
	}
	a.lease(t, time.Now())
	a.followSize(t)
	a.push(t, p)
}

// typeRemote types what a viewer sends. It blocks while others have the terminal, or
// the terminal accepts no more. Unwanted input is not typed, but followed, so that the
// end of a paste is known: it came during a pause, or before the interrupt with the
// given number.
func (a *arbiter) typeRemote(t *typist, p []byte, unwanted bool, interrupts int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer a.settleInput(t, len(p))
	if !unwanted && interrupts == t.interrupts && !a.acquire(t) {
		return
	}
	unwanted = unwanted || interrupts != t.interrupts || t.inFlood(time.Now())
	t.inputs++
	t.fullInput = len(p) == proto.MaxTermInBytes
	t.pasted = t.pasted || t.fullInput
	out := t.filter.Pass(p)
	if t.dropPaste {
		out = t.afterPaste(out)
	}
	if unwanted || a.output.stream.isPaused() {
		t.dropPaste = t.filter.Pasting()
		return
	}
	t.dropFlood = false
	if len(out) > 0 {
		a.followSize(t)
		a.push(t, out)
	}
	if len(t.filter.Held()) > 0 {
		inputs := t.inputs
		time.AfterFunc(heldTime, func() { a.typeHeld(t, inputs) })
	}
}

// typeHeld types a sequence whose end has not come, unless t has sent more since.
func (a *arbiter) typeHeld(t *typist, inputs int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.inputs != inputs || len(t.filter.Held()) == 0 || t.ignored() || a.output.stream.isPaused() {
		return
	}
	if held := t.filter.Release(); !t.dropPaste {
		a.push(t, held)
	}
}
