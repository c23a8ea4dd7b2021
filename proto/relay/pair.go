package relay

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

var (
	errIdle    = errors.New("no byte was moved for too long")
	errSpent   = errors.New("the session has used up its bytes")
	errDrained = errors.New("the relay ends")
)

// pair is two legs whose bytes the relay copies, those of the dialer and the listener.
type pair struct {
	s     *Server
	ses   *session
	legs  [2]*leg
	ended [2]bool // the process of that node has ended its connection; guarded by Server.mu
	began time.Time

	moved  atomic.Uint64
	ctx    context.Context // ends when the pair is reset
	cancel context.CancelCauseFunc
}

// pairLocked makes a pair of the dialer's oldest place and the listener's newest one. A
// listener has one place at a time: one that is older is as a rule dead, since the listener
// has come to another network, where it can't end the old connection.
func (s *Server) pairLocked(ses *session) *pair {
	of := ses.places
	p := &pair{s: s, ses: ses, legs: [2]*leg{of[0][0], of[1][len(of[1])-1]}, began: time.Now()}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	for _, l := range p.legs {
		s.unplaceLocked(ses, l)
	}
	s.wg.Add(1) // begin gives it to run, or back
	s.pairs[p] = true
	ses.pairs[p] = true
	if len(ses.pairs) == 1 {
		s.countSessionLocked(ses, 1)
	}
	return p
}

// unpairLocked removes a pair.
func (s *Server) unpairLocked(p *pair) {
	delete(s.pairs, p)
	delete(p.ses.pairs, p)
	if len(p.ses.pairs) == 0 {
		s.countSessionLocked(p.ses, -1)
	}
	if len(s.pairs) == 0 && s.draining {
		close(s.empty)
	}
}

// begin lets the pair run, unless a place turns out to be dead. Then the other one is the
// next again.
func (s *Server) begin(p *pair) {
	var errs [2]error
	for i, l := range p.legs {
		if l.watched {
			errs[i] = l.wire.claim()
		}
		l.watched = false
		l.quiet()
	}
	if errs == [2]error{} {
		s.mu.Lock()
		p.ses.record.begin(p)
		s.mu.Unlock()
		go p.run()
		return
	}
	defer s.wg.Done()
	for _, l := range p.legs {
		l.loud()
	}
	s.mu.Lock()
	s.unpairLocked(p)
	for i, l := range p.legs {
		if errs[i] == nil {
			s.placeLocked(p.ses, l, i*len(p.ses.places[i]))
		} else {
			s.releaseLocked(p.ses, l, errs[i] == io.EOF)
		}
	}
	s.mu.Unlock()
	for i, l := range p.legs {
		if errs[i] != nil {
			s.discard(l, errs[i])
		}
	}
}

// run copies until both directions have ended.
func (p *pair) run() {
	defer p.s.wg.Done()
	for _, l := range p.legs {
		l.say(Joined)
	}
	p.watchIdle(0, 0)
	var wg sync.WaitGroup
	wg.Go(func() { p.forward(0) })
	p.forward(1)
	wg.Wait()
	for _, l := range p.legs {
		if p.ctx.Err() != nil {
			l.wire.reset()
		} else {
			l.wire.close()
		}
	}
	p.end()
	p.cancel(nil)
}

// end counts the end of the pair, and lets the next places join.
func (p *pair) end() {
	s := p.s
	s.mu.Lock()
	s.unpairLocked(p)
	for i, l := range p.legs {
		if !p.ended[i] {
			s.releaseLocked(p.ses, l, false)
		}
	}
	s.mu.Unlock()
	s.match(p.ses)
}

// forward copies what one end sends until that ends. An end by the node's process (FIN,
// or a Close frame) is passed on as a half-close. Any other resets both connections.
func (p *pair) forward(i int) {
	from, to := p.legs[i], p.legs[1-i]
	err := p.copy(i, from.wire, to.wire)
	if err != io.EOF {
		p.reset(err)
		return
	}
	p.s.mu.Lock()
	p.ended[i] = true
	p.s.releaseLocked(p.ses, from, true)
	p.s.mu.Unlock()
	to.wire.closeWrite()
	p.s.tellLeft(p.ses, from)
}

// copy moves the bytes of one direction. When a write fails, it goes on reading: the
// other direction may still hold what that node sent before it ended.
func (p *pair) copy(i int, from, to wire) error {
	for {
		n, err := from.ready(p.s.grant(p.ses))
		if err != nil {
			return err
		}
		if to == nil {
			if err := from.moveTo(nil, n); err != nil {
				return err
			}
			continue
		}
		if n, err = p.s.wait(p.ctx, p.ses, n); err != nil {
			return err
		}
		p.moved.Add(uint64(n))
		p.ses.record.bytes[i].Add(uint64(n))
		p.s.stats.bytes[doorIndex(p.legs[i].door)].Add(uint64(n))
		if err := from.moveTo(to, n); err != nil {
			to = nil
		}
	}
}

// reset ends both connections at once. The first call says why.
func (p *pair) reset(why error) {
	if p.ctx.Err() != nil {
		return
	}
	p.cancel(why)
	p.s.o.Log.Debug("relay pair reset", "dialer", p.ses.dialer, "listener", p.ses.listener, "why", why)
	for _, l := range p.legs {
		l.wire.reset()
	}
}

// watchIdle resets the pair when nothing has moved in either direction for the time that
// a pair may be idle: moved was the count at the last look, looks says how often it was.
func (p *pair) watchIdle(moved uint64, looks int) {
	time.AfterFunc(p.s.limits.idle/idleLooks, func() {
		n := p.moved.Load()
		switch {
		case p.ctx.Err() != nil:
			return
		case n != moved:
			looks = -1
		case looks+1 == idleLooks:
			p.reset(errIdle)
			return
		}
		p.watchIdle(n, looks+1)
	})
}
