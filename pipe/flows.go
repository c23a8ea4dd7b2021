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

// AutoFlows lets the dialer find out how many flows a transfer is worth.
const AutoFlows = 0

const (
	// flowTick is how often the dialer looks at its flows.
	flowTick = 250 * time.Millisecond
	// flowRest is how long it leaves it at that when one could not be made, at
	// first; then twice as long each time.
	flowRest = time.Second
)

// flows are the links of an exchange beside the primary one, while that lives.
type flows struct {
	x    *exchange
	ctx  context.Context // of the primary link
	fail context.CancelCauseFunc
	link *link.Link
	wg   sync.WaitGroup

	mu   sync.Mutex
	list []*flow // the oldest first
}

type flow struct {
	link *link.Link
	ctx  context.Context
	stop context.CancelFunc
}

// accept takes the flows that the dialer makes. It blocks until ctx ends.
func (f *flows) accept() {
	for {
		l, err := f.link.AcceptFlow(f.ctx)
		if err != nil {
			return
		}
		f.add(l)
	}
}

// dial makes flows until there are as many as are wanted, the primary one
// among them, and new ones in place of those that are lost. It blocks until ctx
// ends.
func (f *flows) dial(wanted int) {
	tick := time.NewTicker(flowTick)
	defer tick.Stop()
	var after time.Time // the next attempt is
	rest := flowRest
	made := make(chan attempt) // sent by each, read below
	via := f.link.Via()
	making := 0 // attempts that run
	for {
		want := wanted
		if wanted == AutoFlows {
			want, via = f.x.wantedFlows(f.link)
		}
		f.shrink(want)
		for ; f.count()+making < want && time.Now().After(after); making++ {
			go func(via string) { made <- attempt{via, f.make(via)} }(via)
		}
		select {
		case <-tick.C:
		case <-f.ctx.Done():
			for range making {
				<-made
			}
			return
		case a := <-made:
			making--
			switch {
			case a.err == nil:
				rest = flowRest
			case a.via != f.link.Via():
				f.x.noTCP = true
			case time.Now().After(after): // one rest for all that fail together
				f.x.log.Info("no further flow", "err", a.err)
				after, rest = time.Now().Add(rest), 2*rest
			}
		}
	}
}

// attempt is one to make a flow, that is over.
type attempt struct {
	via string
	err error
}

func (f *flows) make(via string) error {
	l, err := f.link.AddFlow(f.ctx, via)
	if err == nil {
		f.add(l)
	}
	return err
}

// count returns how many links the transfer has now.
func (f *flows) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return 1 + len(f.list)
}

// shrink ends the youngest flows, until there are want with the primary one.
func (f *flows) shrink(want int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.list) > max(want-1, 0) {
		f.list[len(f.list)-1].stop()
		f.list = f.list[:len(f.list)-1]
	}
}

// add lets a link carry its part of the transfers until it ends or ctx does.
func (f *flows) add(l *link.Link) {
	one := &flow{link: l}
	one.ctx, one.stop = context.WithCancel(f.ctx)
	f.mu.Lock()
	f.list = append(f.list, one)
	n := 1 + len(f.list)
	f.mu.Unlock()
	f.x.log.Info("flow added", "flows", n, "via", l.Via())
	f.x.widened(n, l.Via())
	f.wg.Go(func() {
		err := f.x.flow(one.ctx, l)
		one.stop()
		f.mu.Lock()
		f.list = slices.DeleteFunc(f.list, func(other *flow) bool { return other == one })
		f.mu.Unlock()
		if breach := !link.FlowLost(err); breach {
			f.fail(err)
		}
	})
}

// flow carries chunks over one more link, both ways, until it ends or ctx does.
// The error says why.
func (x *exchange) flow(ctx context.Context, l *link.Link) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var lane *lane
	if x.out != nil {
		lane = x.out.open(false, false)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		<-ctx.Done()
		err := context.Cause(ctx)
		if lane != nil {
			x.out.lose(lane, err)
		}
		if x.complete() {
			l.Close(nil)
		} else {
			l.Break(err)
		}
	})
	if x.out != nil {
		w := newFrameWriter(l)
		wg.Go(func() {
			if err := x.out.send(w, lane); err != nil {
				fail(err)
			}
		})
	}
	if l.Dialed {
		wg.Go(func() { l.Watch(ctx) })
	}
	fail(x.receiveFlow(l))
	wg.Wait()
	return context.Cause(ctx)
}

// receiveFlow reads chunks until the link ends.
func (x *exchange) receiveFlow(l *link.Link) error {
	r := bufio.NewReaderSize(l, frameReadBytes)
	for {
		h, err := wire.ReadHeader(r)
		if err != nil {
			return err
		}
		if x.in == nil {
			return proto.Errorf(proto.Protocol, "%s, and nothing is to be received", h.Type)
		}
		if err := h.Expect(wire.TypeChunk); err != nil {
			return err
		}
		if err := x.in.chunk(r, h.Bytes); err != nil {
			return err
		}
	}
}
