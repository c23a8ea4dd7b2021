package pipe

import (
	"context"
	"sync"
	"time"

	"mesh/proto"
)

// lagTick is how often a [Set] looks which branches hold the others up.
const lagTick = 100 * time.Millisecond

// errGivenUp is how the other branches of a set end when too few are left: a peer learns
// nothing of the others.
var errGivenUp = proto.Errorf(proto.Truncated, "the transfer to all peers was given up")

// Set is the peers of a transfer to several: of a [Fanout], or of files that go to each
// of them at once. It keeps which of them still count, and ends the transfer to all when
// fewer than need are left before [Set.Commit]. A branch that has held need others up for
// lag in all is dropped with [proto.Timeout].
//
// Before need branches have succeeded, the function that is given to [NewSet] says which ones
// hold the others up; afterwards all that have not ended do.
type Set struct {
	need    int
	lag     time.Duration // 0 for no limit
	holders func() []int
	label   func(i int, err error) error
	ctx     context.Context // of the whole transfer
	cancel  context.CancelCauseFunc

	mu        sync.Mutex
	linked    chan struct{} // replaced with each change of a branch
	list      []*member
	cause     error // why the whole transfer has failed
	committed bool  // peers may have stored
}

// member is one branch of a set.
type member struct {
	ctx    context.Context
	cancel context.CancelCauseFunc

	linked, ended bool
	dropped       bool
	held          time.Duration // for how long it has held the others up
	err           error         // how it has ended
}

// alive reports whether the branch has succeeded, or still may.
func (m *member) alive() bool { return !m.dropped && m.err == nil }

// NewSet returns a set of n branches. holders may be nil; label adds the name of branch i to
// its error.
func NewSet(ctx context.Context, n, need int, lag time.Duration, holders func() []int, label func(i int, err error) error) *Set {
	s := &Set{need: need, lag: lag, holders: holders, label: label, linked: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	for range n {
		m := new(member)
		m.ctx, m.cancel = context.WithCancelCause(s.ctx)
		s.list = append(s.list, m)
	}
	return s
}

// Whole returns the context of the whole transfer. It ends when that has failed.
func (s *Set) Whole() context.Context { return s.ctx }

// Close ends the contexts of the set.
func (s *Set) Close() { s.cancel(nil) }

// Context returns the context of branch i. It ends when the branch is dropped, or the whole
// transfer has failed.
func (s *Set) Context(i int) context.Context { return s.list[i].ctx }

// Linked notes that branch i has a link.
func (s *Set) Linked(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list[i].linked = true
	s.changedLocked()
}

func (s *Set) changedLocked() {
	close(s.linked)
	s.linked = make(chan struct{})
}

// AwaitLinks blocks until need branches have a link, and the others too or grace is over. It
// returns why the transfer has failed if it has.
func (s *Set) AwaitLinks(grace time.Duration) error {
	var over <-chan time.Time
	for {
		s.mu.Lock()
		linked, open, cause, changed := len(s.withLinkLocked()), s.unlinkedLocked(), s.cause, s.linked
		s.mu.Unlock()
		if cause != nil || linked >= s.need && !open {
			return cause
		}
		if linked >= s.need && over == nil {
			over = time.After(grace)
		}
		select {
		case <-changed:
		case <-over:
			return nil
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		}
	}
}

// WithLink returns the branches that have a link and have not failed.
func (s *Set) WithLink() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.withLinkLocked()
}

func (s *Set) withLinkLocked() (list []int) {
	for i, m := range s.list {
		if m.linked && m.alive() {
			list = append(list, i)
		}
	}
	return list
}

// unlinkedLocked reports whether a branch may still get a link.
func (s *Set) unlinkedLocked() bool {
	for _, m := range s.list {
		if !m.linked && !m.ended {
			return true
		}
	}
	return false
}

// End notes that branch i has ended with err, and returns that, or why it was dropped.
func (s *Set) End(i int, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.list[i]
	if err != nil && m.dropped {
		err = context.Cause(m.ctx)
	}
	m.ended, m.err = true, err
	m.dropped = m.dropped && err != nil // it may have succeeded at the same moment
	s.changedLocked()
	if _, alive := s.countLocked(); alive < s.need && s.cause == nil {
		s.cause = s.label(i, err)
		if !s.committed {
			s.cancel(errGivenUp)
		}
	}
	return err
}

// Commit notes that from now on peers store what they have. A branch that fails later ends
// no other one: they have lag to end well. It returns why the whole transfer has failed if
// it has.
func (s *Set) Commit() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.committed = s.cause == nil
	return s.cause
}

// countLocked returns how many branches have succeeded, and how many have or still may.
func (s *Set) countLocked() (done, alive int) {
	for _, m := range s.list {
		if m.alive() {
			alive++
			if m.ended {
				done++
			}
		}
	}
	return done, alive
}

// Fail ends the whole transfer with err, unless it has failed already.
func (s *Set) Fail(err error) {
	s.Blame(err)
	s.cancel(err)
}

// Blame notes why the whole transfer fails, unless it has failed already, and lets the
// branches tell their peers themselves.
func (s *Set) Blame(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		s.cause = err
	}
}

// Watch drops the branches that hold the others up for too long, until ctx ends.
func (s *Set) Watch(ctx context.Context) {
	tick := time.NewTicker(lagTick)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.charge(lagTick)
		case <-ctx.Done():
			return
		}
	}
}

// charge notes that some branches have held the others up for d.
func (s *Set) charge(d time.Duration) {
	if s.lag == 0 {
		return
	}
	var holders []int
	if s.holders != nil {
		holders = s.holders()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	done, alive := s.countLocked()
	if late := done >= s.need || s.cause != nil; late {
		holders = s.runningLocked()
	}
	for _, i := range holders {
		m := s.list[i]
		if m.held += d; m.held < s.lag || m.ended || m.dropped || alive <= s.need && s.cause == nil {
			continue
		}
		alive--
		m.dropped = true
		m.cancel(proto.Errorf(proto.Timeout, "it held the others up for %s (--lag)", s.lag))
	}
}

func (s *Set) runningLocked() (list []int) {
	for i, m := range s.list {
		if !m.ended {
			list = append(list, i)
		}
	}
	return list
}

// Outcome returns how the branches have ended, nil for success, and why the whole transfer has
// failed: nil if need branches have succeeded. Call it when all have ended.
func (s *Set) Outcome() (branches []error, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.list {
		branches = append(branches, m.err)
	}
	return branches, s.cause
}
