package broker_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/identity"
)

// modelBox is a box as the page of the protocol describes it.
type modelBox struct {
	shown    *shown
	opened   time.Time
	claimer  *peer // nil: nobody
	since    time.Time
	proven   *hub.CodeDialer
	silent   bool // wants another share
	finished bool
}

// model is what a hub does with codes, without anything clever.
type model struct {
	w     *world
	r     *rand.Rand
	bob   *peer
	boxes []*modelBox
}

// settle applies the time limits.
func (m *model) settle() {
	for _, x := range m.boxes {
		over := m.w.now.Sub(x.since) >= hub.ConfirmTimeout
		switch {
		case x.finished:
		case x.claimer != nil && over && x.proven != nil:
			x.finished = true
		case x.claimer != nil && over:
			x.free()
		}
		if x.claimer == nil && m.w.now.Sub(x.opened) >= hub.CodeLife {
			x.finished = true
		}
	}
}

func (x *modelBox) free() { x.claimer, x.silent = nil, true }

// open counts the boxes that are not finished.
func (m *model) open() (n int) {
	for _, x := range m.boxes {
		if !x.finished {
			n++
		}
	}
	return n
}

// pass lets time pass in steps that the hub sees as the model does.
func (m *model) pass(d time.Duration) {
	for end := m.w.now.Add(d); m.w.now.Before(end); {
		m.w.pass(broker.SweepEvery)
		m.bob.k.Ping()
		for _, x := range m.boxes {
			if x.claimer != nil && !x.finished {
				x.claimer.k.Ping()
			}
		}
		m.settle()
	}
}

// step does one thing at random, and checks what the hub answers.
func (m *model) step(t *testing.T) {
	var x *modelBox
	if len(m.boxes) > 0 {
		x = m.boxes[m.r.IntN(len(m.boxes))]
	}
	switch op := m.r.IntN(8); {
	case op == 0 || x == nil:
		end, err := hub.OpenCode(m.w.hub.ID(), m.bob.key, hub.KindPipe, hub.NewID(), words)
		m.w.ok("make a share", err)
		open := end.Event()
		if m.open() >= hub.MaxCodes {
			m.bob.want(hub.CodeLimit, hub.TypeCodeOpen, &open)
			return
		}
		m.boxes = append(m.boxes, &modelBox{shown: m.bob.show(hub.ID{}, identity.ID{}), opened: m.w.now})
	case op == 1:
		m.pass(time.Duration(1+m.r.IntN(40)) * time.Second)
	case op == 2 && !x.finished && x.claimer == nil:
		again := m.bob.show(x.shown.box, identity.ID{})
		if again.plate != x.shown.plate {
			t.Errorf("opened again: got plate %d, want %d", again.plate, x.shown.plate)
		}
		x.shown, x.silent = again, false
	case op == 3 || op == 4:
		m.claim(t, x)
	case op == 5:
		m.confirm(x)
	case op == 6:
		m.answer(x)
	case op == 7 && x.claimer != nil && x.proven == nil && !x.finished:
		x.claimer.k.Left()
		x.free()
	}
}

// claim claims the box as a node of its own, so that no rate counts.
func (m *model) claim(t *testing.T, x *modelBox) {
	p := m.w.online(m.w.member())
	may := !x.finished && x.claimer == nil && !x.silent
	for _, y := range m.boxes { // the plate may be another box's by now
		may = may || y != x && !y.finished && y.shown.plate == x.shown.plate && y.claimer == nil && !y.silent
	}
	d := p.claim(x.shown.plate)
	if (d != nil) != may {
		t.Fatalf("claim of plate %d: got %v, want %v", x.shown.plate, d != nil, may)
	}
	if d == nil {
		m.pass(6 * time.Second) // a new share may come for 5
		if got := p.later(); got != hub.CodeNoCode {
			t.Errorf("claim that fails: got %q, want %q", got, hub.CodeNoCode)
		}
		p.k.Left()
		return
	}
	for _, y := range m.boxes {
		if y.shown.box == d.Confirm().Box {
			y.claimer, y.since, y.proven = p, m.w.now, nil
		}
	}
}

func (m *model) confirm(x *modelBox) {
	if x.claimer == nil || x.finished {
		d := &hub.CodeConfirm{Box: x.shown.box, Share: make([]byte, 32), AD: adOf(m), Tag: make([]byte, 32)}
		p := m.w.online(m.w.member())
		p.want(hub.CodeNotFound, hub.TypeCodeConfirm, d)
		p.k.Left()
		return
	}
	if x.proven == nil {
		open := x.shown.end.Event()
		d, err := hub.ClaimCode(m.w.hub.ID(), x.claimer.key.ID(), words, &hub.CodeClaimed{Box: open.Box, Peer: m.bob.key.ID(), Kind: open.Kind, Share: open.Share, AD: open.AD})
		m.w.ok("answer a share", err)
		x.proven, x.since = d, m.w.now
	}
	x.claimer.want(hub.TypeOK, hub.TypeCodeConfirm, x.proven.Confirm())
}

func adOf(m *model) []byte {
	d, err := hub.ClaimCode(m.w.hub.ID(), m.bob.key.ID(), words, func() *hub.CodeClaimed {
		l, err := hub.OpenCode(m.w.hub.ID(), m.bob.key, hub.KindPipe, hub.NewID(), words)
		m.w.ok("make a share", err)
		o := l.Event()
		return &hub.CodeClaimed{Box: o.Box, Peer: m.bob.key.ID(), Kind: o.Kind, Share: o.Share, AD: o.AD}
	}())
	m.w.ok("answer a share", err)
	return d.Confirm().AD
}

// answer is the listener's done or burn.
func (m *model) answer(x *modelBox) {
	done := &hub.CodeDone{Box: x.shown.box, Tag: make([]byte, 32), Sealed: []byte{1}, Sig: make([]byte, 64)}
	switch {
	case x.finished:
		m.bob.want(hub.CodeNotFound, hub.TypeCodeBurn, &hub.CodeBurn{Box: x.shown.box, Reason: hub.BurnClosed})
	case x.proven != nil && x.claimer != nil && m.r.IntN(2) == 0:
		m.bob.want(hub.TypeOK, hub.TypeCodeDone, done)
		x.finished = true
	case x.proven == nil || x.claimer == nil:
		m.bob.want(hub.CodeBadEvent, hub.TypeCodeDone, done)
	default:
		m.bob.want(hub.TypeOK, hub.TypeCodeBurn, &hub.CodeBurn{Box: x.shown.box, Reason: hub.BurnClosed})
		x.finished = true
	}
}

// The hub does with random events what a slow model does.
func TestCodesModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		w := newWorld(t)
		m := &model{w: w, r: rand.New(rand.NewPCG(seed, 1)), bob: w.online(w.member())}
		for i := range 150 {
			w.from = nextSource(w.from)
			if m.step(t); t.Failed() {
				t.Fatalf("seed %d, step %d", seed, i)
			}
		}
	}
}
