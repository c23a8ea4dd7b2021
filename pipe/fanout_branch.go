package pipe

import (
	"slices"
	"time"
)

// join makes o the sender of the branch. exact says that the receiver acknowledges all that
// it has taken, without FILE_DONE.
func (b *branch) join(o *outgoing, exact bool) {
	f := b.fan
	b.exact = exact
	f.mu.Lock()
	b.out = o
	k := f.known
	f.mu.Unlock()
	o.learn(k)
}

// bytesAt is [sendBuffer.bytesAt] of the shared buffer. A block does not change before
// the branch releases it.
func (b *branch) bytesAt(offset int64, f *subflow) ([]byte, error) {
	b.fan.mu.Lock()
	defer b.fan.mu.Unlock()
	return b.fan.buffer.bytesAt(offset, &f.scratch)
}

// note takes over how far the branch is. It is called with the lock of o.
func (b *branch) note(o *outgoing) {
	f, s := b.fan, &o.state
	f.mu.Lock()
	defer f.mu.Unlock()
	if b.gone {
		return
	}
	b.released, b.next, b.sending = s.releasable(), s.next, len(s.subflows) > 0 && !s.awaitsResume
	b.all = o.hasAllLocked()
	f.buffer.releaseBefore(f.releasedLocked())
	f.countLocked()
	f.changed.Broadcast()
}

// learn takes over what is known of the source. It may be called with older knowledge after
// newer.
func (o *outgoing) learn(k known) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.branch
	if k.end > o.buffer.end {
		o.buffer.end = k.end
		o.surplus = o.surplus || o.final != nil
	}
	if k.eof && !o.eof {
		o.eof, o.status, b.digest, o.owed = true, k.status, k.digest, time.Now()
	}
	b.open = b.open || k.open
	b.note(o)
	o.changed.Broadcast()
}

// hasAllLocked reports whether the peer of a branch has taken every byte, as far as that
// can be known before FILE_DONE: a receiver of an older version keeps the last
// acknowledgement back, and counts when all was sent to it.
func (o *outgoing) hasAllLocked() bool {
	s := &o.state
	switch {
	case !o.eof:
		return false
	case o.branch.exact || o.final != nil:
		return s.acked == o.buffer.end
	}
	writing := slices.ContainsFunc(s.subflows, func(f *subflow) bool { return f.claimed.to > 0 })
	return s.next == o.buffer.end && len(s.retransmit) == 0 && !writing && o.buffer.end-s.acked < o.every
}
