package pipe

import (
	"bufio"
	"context"
	"slices"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/wire"
)

// AutoFlows lets the dialer find out how many flows make a transfer faster.
const AutoFlows = 0

const (
	// flowInterval is how often the dialer compares its flows with those wanted. At
	// first it does so sooner, after firstFlowInterval and then twice as long each
	// time: bulk that begins over QUIC needs its flow over TCP soon.
	flowInterval      = 250 * time.Millisecond
	firstFlowInterval = 8 * time.Millisecond
	// flowPause is how long it waits after a flow could not be made, at first; then
	// twice as long each time.
	flowPause = time.Second
)

// flowSet is the flows of one leg: the links beside the primary one.
type flowSet struct {
	x    *exchange
	link *link.Link              // the primary one
	fail context.CancelCauseFunc // ends the leg
	wg   sync.WaitGroup          // of the flows

	mu   sync.Mutex
	list []*flow // the oldest first
}

type flow struct{ stop context.CancelFunc }

// runFlows adds flows to a leg until ctx ends, and returns when they have ended.
func (x *exchange) runFlows(ctx context.Context, primary *link.Link, fail context.CancelCauseFunc) {
	s := &flowSet{x: x, link: primary, fail: fail}
	if primary.Dialed {
		s.dial(ctx)
	} else {
		s.accept(ctx)
	}
	s.wg.Wait()
}

// accept adds the flows that the dialer makes, until ctx ends.
func (s *flowSet) accept(ctx context.Context) {
	for {
		l, err := s.link.AcceptFlow(ctx)
		if err != nil {
			return
		}
		s.add(ctx, l)
	}
}

// attempt is the outcome of one attempt to make a flow.
type attempt struct {
	via       string
	lossBound bool // of the flow, if it was made
	err       error
}

// dial keeps as many flows as are wanted, the primary link among them, until ctx
// ends: it makes new ones in place of those that are lost.
func (s *flowSet) dial(ctx context.Context) {
	s.x.auto.beginLeg()
	interval := firstFlowInterval
	tick := time.NewTimer(interval)
	defer tick.Stop()
	var next time.Time // no attempt is made before
	pause := flowPause
	attempts := make(chan attempt) // one from each; read below
	pending := 0
	for {
		want, via := s.wanted()
		s.shrink(want)
		for ; s.count()+pending < want && time.Now().After(next); pending++ {
			go func() { attempts <- s.dialFlow(ctx, via) }()
		}
		select {
		case <-tick.C:
			interval = min(2*interval, flowInterval)
			tick.Reset(interval)
		case <-ctx.Done():
			for range pending {
				<-attempts
			}
			return
		case a := <-attempts:
			pending--
			switch {
			case a.err == nil && a.via != s.link.Via():
				pause, s.x.auto.tcpLossBound = flowPause, a.lossBound
			case a.err == nil:
				pause = flowPause
			case a.via != s.link.Via() && s.count() == 1:
				s.x.auto.noTCP = true
			case time.Now().After(next): // one pause for all that fail together
				s.x.log.Info("flow not added", "err", a.err)
				next, pause = time.Now().Add(pause), 2*pause
			}
		}
	}
}

// wanted returns how many flows the transfers should have, and the transport of
// further ones.
func (s *flowSet) wanted() (n int, via string) {
	if s.x.options.Flows == AutoFlows {
		return s.x.auto.wanted(s.x, s.link)
	}
	return s.x.options.Flows, s.link.Via()
}

func (s *flowSet) dialFlow(ctx context.Context, via string) attempt {
	l, err := s.link.AddFlow(ctx, via)
	if err != nil {
		return attempt{via: via, err: err}
	}
	s.add(ctx, l)
	return attempt{via: via, lossBound: l.LossBound()}
}

// count returns how many links the transfers have now.
func (s *flowSet) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return 1 + len(s.list)
}

// shrink ends the youngest flows beyond want, which counts the primary link too.
func (s *flowSet) shrink(want int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.list) > max(want-1, 0) {
		s.list[len(s.list)-1].stop()
		s.list = s.list[:len(s.list)-1]
	}
}

// add starts a flow over a link, until that ends or ctx does. It does not wait.
func (s *flowSet) add(ctx context.Context, l *link.Link) {
	ctx, stop := context.WithCancel(ctx)
	added := &flow{stop}
	s.mu.Lock()
	s.list = append(s.list, added)
	n := 1 + len(s.list)
	s.mu.Unlock()
	s.x.log.Info("flow added", "flows", n, "via", l.Via())
	s.x.recordFlows(n, l.Via())
	s.wg.Go(func() {
		err := s.x.runFlow(ctx, l)
		stop()
		s.mu.Lock()
		s.list = slices.DeleteFunc(s.list, func(other *flow) bool { return other == added })
		s.mu.Unlock()
		if breach := !link.FlowLost(err); breach {
			s.fail(err)
		}
	})
}

// runFlow carries chunks over one link beside the primary one, both ways, until it
// ends or ctx does. The error says why.
func (x *exchange) runFlow(ctx context.Context, l *link.Link) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var f *subflow
	if x.out != nil {
		f = x.out.openSubflow(l.Via(), false, false)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		<-ctx.Done()
		err := context.Cause(ctx)
		if f != nil {
			x.out.loseSubflow(f, err)
		}
		if x.complete() {
			l.Close(nil)
		} else {
			l.Break(err)
		}
	})
	if f != nil {
		w := newFrameWriter(l)
		wg.Go(func() {
			if err := x.out.sendOn(w, f); err != nil {
				fail(err)
			}
		})
	}
	if l.Dialed {
		wg.Go(func() { l.Watch(ctx, x.pending) })
	}
	fail(x.receiveChunks(l))
	wg.Wait()
	return context.Cause(ctx)
}

// receiveChunks reads chunks until the link ends.
func (x *exchange) receiveChunks(l *link.Link) error {
	r := bufio.NewReaderSize(l, frameReadBytes)
	for {
		h, err := wire.ReadHeader(r)
		if err != nil {
			return err
		}
		if x.in == nil {
			return proto.Errorf(proto.Protocol, "%s on a flow of a transfer that we only send", h.Type)
		}
		if err := h.Expect(wire.TypeChunk); err != nil {
			return err
		}
		if err := x.in.readChunk(r, h.Bytes); err != nil {
			return err
		}
	}
}
