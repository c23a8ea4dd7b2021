package broker_test

import (
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/identity"
)

const words = "guitar-croissant-lunchbox"

// shown is a code that a listener shows.
type shown struct {
	p     *peer
	box   hub.ID
	plate uint32
	end   *hub.CodeListener
}

// show opens a box with a new share. An id of zeros stands for a new box.
func (p *peer) show(box hub.ID, claimed identity.ID) *shown {
	p.w.t.Helper()
	return p.reopen(box, 0, claimed)
}

// reopen is show for a box that had a plate at the hub before a restart.
func (p *peer) reopen(box hub.ID, plate uint32, claimed identity.ID) *shown {
	p.w.t.Helper()
	if box == (hub.ID{}) {
		box = hub.NewID()
	}
	end, err := hub.OpenCode(p.w.hub.ID(), p.key, hub.KindPipe, box, words)
	p.w.ok("make a share", err)
	c := &shown{p: p, box: box, end: end}
	open := end.Event()
	open.Claimed, open.Plate = claimed, plate
	var o hub.CodeOpened
	e := p.ask(hub.TypeCodeOpen, &open)
	if e.Type != hub.TypeCodeOpened {
		p.w.t.Fatalf("open: got %s, want %s", outcome(e), hub.TypeCodeOpened)
	}
	p.w.ok("read", e.Read(&o))
	c.plate = o.Plate
	return c
}

// claim claims a plate and returns the exchange; nil if there is no answer at once.
func (p *peer) claim(plate uint32) *hub.CodeDialer {
	p.w.t.Helper()
	e := p.ask(hub.TypeCodeClaim, &hub.CodeClaim{Plate: plate})
	if e.Type == "" {
		return nil
	}
	return p.claimed(e)
}

func (p *peer) claimed(e hub.Event) *hub.CodeDialer {
	p.w.t.Helper()
	var c hub.CodeClaimed
	if e.Type != hub.TypeCodeClaimed {
		p.w.t.Fatalf("claim: got %s, want %s", outcome(e), hub.TypeCodeClaimed)
	}
	p.w.ok("read", e.Read(&c))
	d, err := hub.ClaimCode(p.w.hub.ID(), p.key.ID(), words, &c)
	p.w.ok("answer a share", err)
	return d
}

// later returns the answer to a claim that came after its event, and removes it.
func (p *peer) later() string {
	for i, e := range p.events {
		if e.Ref != "" {
			p.events = slices.Delete(p.events, i, i+1)
			return outcome(e)
		}
	}
	return ""
}

// proven takes the confirm that the listener got, and makes its done.
func (c *shown) proven(from *identity.Key) *hub.CodeDone {
	t := c.p.w.t
	t.Helper()
	var got hub.CodeConfirm
	if e := c.p.take(hub.TypeCodeConfirm, &got); e.From != from.ID() {
		t.Errorf("confirm from %s, want %s", e.From.Short(), from.ID().Short())
	}
	p, err := c.end.Prove(from.ID(), &got)
	c.p.w.ok("prove", err)
	done, _, err := p.Done(hub.Grant{Method: hub.MethodKey})
	c.p.w.ok("done", err)
	return done
}

func bobAndAlice(w *world) (bob, alice *peer) {
	return w.online(w.member(), named("bob")), w.online(w.member())
}

func TestCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob, alice := bobAndAlice(w)
	c := bob.show(hub.ID{}, identity.ID{})
	d := alice.claim(c.plate)
	early := &hub.CodeDone{Box: c.box, Tag: make([]byte, hub.TagBytes), Sealed: []byte{1}, Sig: make([]byte, hub.SignatureBytes)}
	bob.want(hub.CodeBadEvent, hub.TypeCodeDone, early) // the dialer proves first
	alice.none(hub.TypeCodeDone)
	var told hub.CodeClaimed
	if e := bob.take(hub.TypeCodeClaimed, &told); e.From != alice.key.ID() || told.Box != c.box || told.Share != nil {
		t.Errorf("the listener got %+v of %s", told, e.From.Short())
	}
	alice.want(hub.TypeOK, hub.TypeCodeConfirm, d.Confirm())
	bob.want(hub.TypeOK, hub.TypeCodeDone, c.proven(alice.key))
	var done hub.CodeDone
	if e := alice.take(hub.TypeCodeDone, &done); e.From != bob.key.ID() || e.Name != "bob" {
		t.Errorf("done is from %s %q, want bob", e.From.Short(), e.Name)
	}
	if _, _, err := d.Open(&done); err != nil {
		t.Error(err)
	}
	for p, role := range map[*peer]string{alice: hub.RoleDialer, bob: hub.RoleListener} {
		var s hub.Created
		if p.take(hub.TypeCreated, &s); s.Role != role || s.Session != c.box || s.ExpiresS != 600 || s.Kind != hub.KindPipe {
			t.Errorf("created %+v, want role %s of the box", s, role)
		}
	}
	alice.want(hub.TypeOK, hub.TypeCandidates, &hub.Candidates{Session: c.box, Gen: 1, Sealed: []byte{1}})
	bob.take(hub.TypeCandidates, &hub.Candidates{})
	bob.want(hub.TypeOK, hub.TypeClosed, &hub.Closed{Session: c.box, Reason: "done"})
	alice.take(hub.TypeClosed, &hub.Closed{})
	if alice.claim(c.plate) != nil {
		t.Error("a used code is claimed again")
	}
}

// One node at a time has the claim, and nobody else may confirm.
func TestOneClaim(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob, alice := bobAndAlice(w)
	carol := w.online(w.member())
	c := bob.show(hub.ID{}, identity.ID{})
	d := alice.claim(c.plate)
	if carol.claim(c.plate) != nil {
		t.Fatal("two nodes have the claim")
	}
	w.pass(time.Second)
	if got := carol.later(); got != hub.CodeNoCode {
		t.Errorf("the second claim: got %q, want %q", got, hub.CodeNoCode)
	}
	carol.want(hub.CodeNotFound, hub.TypeCodeConfirm, d.Confirm())
	carol.want(hub.CodeNotFound, hub.TypeCodeBurn, &hub.CodeBurn{Box: c.box, Reason: hub.BurnWrong})
	other := alice.again()
	other.want(hub.TypeOK, hub.TypeCodeConfirm, d.Confirm())
	second := *d.Confirm()
	second.Tag = make([]byte, hub.TagBytes)
	other.want(hub.CodeBadEvent, hub.TypeCodeConfirm, &second)
	bob.take(hub.TypeCodeConfirm, &hub.CodeConfirm{})
	bob.none(hub.TypeCodeConfirm)
}

// All that fails is answered alike, and after the same time.
func TestNoCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob, alice := bobAndAlice(w)
	carol := w.online(w.member())
	held := bob.show(hub.ID{}, identity.ID{})
	carol.claim(held.plate)
	burnt := bob.show(hub.ID{}, identity.ID{})
	bob.want(hub.TypeOK, hub.TypeCodeBurn, &hub.CodeBurn{Box: burnt.box, Reason: hub.BurnClosed})
	for what, plate := range map[string]uint32{"unknown": 999999, "claimed": held.plate, "burnt": burnt.plate} {
		if alice.claim(plate) != nil {
			t.Errorf("%s: claimed", what)
		}
		w.pass(499 * time.Millisecond)
		if got := alice.later(); got != "" {
			t.Errorf("%s: got %q after 499 ms", what, got)
		}
		w.pass(broker.SweepEvery)
		if got := alice.later(); got != hub.CodeNoCode {
			t.Errorf("%s: got %q, want %q", what, got, hub.CodeNoCode)
		}
	}
	alice.want(hub.CodeBadEvent, hub.TypeCodeClaim, nil)
}

// A silent claim costs the listener a share, and its user nothing: the plate stays.
func TestSilentClaim(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob, alice := bobAndAlice(w)
	carol := w.online(w.member())
	c := bob.show(hub.ID{}, identity.ID{})
	late := alice.claim(c.plate)
	w.passAlive(hub.ConfirmTimeout-broker.SweepEvery, bob, alice, carol)
	bob.none(hub.TypeCodeFreed)
	w.pass(broker.SweepEvery)
	var freed hub.CodeFreed
	if bob.take(hub.TypeCodeFreed, &freed); freed.Box != c.box {
		t.Errorf("freed %s, want %s", freed.Box, c.box)
	}
	alice.want(hub.CodeNotFound, hub.TypeCodeConfirm, late.Confirm())
	// Carol's claim comes before bob's new share, and waits for it.
	if carol.claim(c.plate) != nil {
		t.Fatal("the old share is told to a second node")
	}
	again := bob.show(c.box, identity.ID{})
	if again.plate != c.plate {
		t.Errorf("the plate is %d now, want %d", again.plate, c.plate)
	}
	w.pass(time.Second)
	at := slices.IndexFunc(carol.events, func(e hub.Event) bool { return e.Type == hub.TypeCodeClaimed })
	if at < 0 {
		t.Fatalf("no claim, but %v", types(carol.events))
	}
	d := carol.claimed(carol.events[at])
	carol.want(hub.TypeOK, hub.TypeCodeConfirm, d.Confirm())
	bob.want(hub.TypeOK, hub.TypeCodeDone, again.proven(carol.key))
}

// A claim waits for the new share of a box that is free again, which a slow listener sends
// late; after 5 seconds there is no such code.
func TestLateShare(t *testing.T) {
	t.Parallel()
	for late, want := range map[time.Duration]string{0: hub.TypeCodeClaimed, time.Second: hub.TypeCodeClaimed, 4 * time.Second: hub.TypeCodeClaimed, 6 * time.Second: hub.CodeNoCode} {
		w := newWorld(t)
		bob, alice := bobAndAlice(w)
		c := bob.show(hub.ID{}, identity.ID{})
		alice.claim(c.plate)
		alice.k.Left()
		carol := w.online(w.member())
		if carol.claim(c.plate) != nil {
			t.Fatal("the old share is told to a second node")
		}
		w.pass(late)
		bob.show(c.box, identity.ID{})
		w.pass(time.Second)
		if got := carol.later(); got != want {
			t.Errorf("a share %v later: got %q, want %q", late, got, want)
		}
	}
}

// The plate is free as soon as the node that claimed it is gone.
func TestCodeDialerGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob, alice := bobAndAlice(w)
	c := bob.show(hub.ID{}, identity.ID{})
	alice.claim(c.plate)
	alice.k.Left()
	bob.take(hub.TypeCodeFreed, &hub.CodeFreed{})
	bob.show(c.box, identity.ID{})
	alice = alice.again()
	alice.claim(c.plate)
	alice.k.Lost()
	w.pass(hub.Grace - broker.SweepEvery)
	bob.none(hub.TypeCodeFreed)
	w.pass(broker.SweepEvery)
	bob.take(hub.TypeCodeFreed, &hub.CodeFreed{})
}

// The dialer hears at once when there is nobody to prove the code to.
func TestCodeListenerGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob, alice := bobAndAlice(w)
	c := bob.show(hub.ID{}, identity.ID{})
	alice.claim(c.plate)
	bob.k.Left()
	var burn hub.CodeBurn
	if alice.take(hub.TypeCodeBurn, &burn); burn.Box != c.box || burn.Reason != hub.BurnOffline {
		t.Errorf("got %+v, want %s", burn, hub.BurnOffline)
	}
	// A listener that gives no answer to a confirm has used up its code.
	bob = bob.again()
	c = bob.show(hub.ID{}, identity.ID{})
	d := alice.claim(c.plate)
	w.passAlive(10*time.Second, bob, alice)
	alice.want(hub.TypeOK, hub.TypeCodeConfirm, d.Confirm())
	w.passAlive(hub.ConfirmTimeout-broker.SweepEvery, bob, alice)
	alice.none(hub.TypeCodeBurn)
	w.pass(broker.SweepEvery)
	if alice.take(hub.TypeCodeBurn, &burn); burn.Reason != hub.BurnTimeout {
		t.Errorf("got %+v, want %s", burn, hub.BurnTimeout)
	}
	bob.want(hub.CodeGone, hub.TypeCodeDone, c.proven(alice.key))
}

// Three wrong codes in an hour end a node's claims for an hour.
func TestWrongCodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob, alice := bobAndAlice(w)
	wrong := func() {
		t.Helper()
		c := bob.show(hub.ID{}, identity.ID{})
		alice.want(hub.TypeOK, hub.TypeCodeConfirm, alice.claim(c.plate).Confirm())
		bob.want(hub.TypeOK, hub.TypeCodeBurn, &hub.CodeBurn{Box: c.box, Reason: hub.BurnWrong})
		var burn hub.CodeBurn
		if e := alice.take(hub.TypeCodeBurn, &burn); burn.Reason != hub.BurnWrong || e.From != bob.key.ID() {
			t.Errorf("got %+v, want %s", burn, hub.BurnWrong)
		}
	}
	wrong()
	w.passAlive(30*time.Minute, alice, bob)
	wrong()
	w.passAlive(30*time.Minute, alice, bob) // the first one is an hour old
	wrong()
	c := bob.show(hub.ID{}, identity.ID{})
	if alice.claim(c.plate) == nil {
		t.Fatal("the fourth claim is refused, though one was more than an hour ago")
	}
	alice.k.Left() // without a confirm
	alice = alice.again()
	c = bob.show(hub.ID{}, identity.ID{})
	bob.want(hub.TypeOK, hub.TypeCodeBurn, &hub.CodeBurn{Box: c.box, Reason: hub.BurnClosed})
	wrong()
	c = bob.show(hub.ID{}, identity.ID{})
	alice.want(hub.CodeRateLimited, hub.TypeCodeClaim, &hub.CodeClaim{Plate: c.plate})
	w.passAlive(time.Hour-time.Second, alice, bob)
	alice.want(hub.CodeRateLimited, hub.TypeCodeClaim, &hub.CodeClaim{Plate: c.plate})
	w.passAlive(time.Second, alice, bob)
	if c = bob.show(hub.ID{}, identity.ID{}); alice.claim(c.plate) == nil {
		t.Error("refused after an hour")
	}
}

// A node claims 5 codes a minute, and a source too.
func TestClaimRates(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]func(w *world, p *peer) *peer{
		"node": func(w *world, p *peer) *peer {
			w.from = netip.AddrPortFrom(w.from.Addr().Next(), 1)
			return p.again()
		},
		"source": func(w *world, _ *peer) *peer { return w.online(w.member()) },
	} {
		w := newWorld(t)
		p := w.online(w.member())
		for range 5 {
			p.want("", hub.TypeCodeClaim, &hub.CodeClaim{Plate: 7})
			p = next(w, p)
		}
		p.want(hub.CodeRateLimited, hub.TypeCodeClaim, &hub.CodeClaim{Plate: 7})
		w.pass(12 * time.Second)
		p.want("", hub.TypeCodeClaim, &hub.CodeClaim{Plate: 7})
		p.want(hub.CodeRateLimited, hub.TypeCodeClaim, &hub.CodeClaim{Plate: 7})
		if t.Failed() {
			t.Fatal(name)
		}
	}
	// One every 12 s is within the first rate; the second ends it: 30, and one more for
	// every two minutes meanwhile.
	w := newWorld(t)
	p := w.online(w.member())
	n := 0
	for outcome(p.ask(hub.TypeCodeClaim, &hub.CodeClaim{Plate: 7})) == "" {
		n++
		w.passAlive(12*time.Second, p)
	}
	if n != 33 {
		t.Errorf("got %d claims, want 33", n)
	}
}

func TestOpenCodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob, alice := bobAndAlice(w)
	var all []*shown
	for range hub.MaxCodes {
		all = append(all, bob.show(hub.ID{}, identity.ID{}))
	}
	end, err := hub.OpenCode(w.hub.ID(), bob.key, hub.KindPipe, hub.NewID(), words)
	w.ok("make a share", err)
	open := end.Event()
	bob.want(hub.CodeLimit, hub.TypeCodeOpen, &open)
	bob.want(hub.TypeOK, hub.TypeCodeBurn, &hub.CodeBurn{Box: all[0].box, Reason: hub.BurnClosed})
	bob.want(hub.TypeCodeOpened, hub.TypeCodeOpen, &open)
	bob.want(hub.TypeCodeOpened, hub.TypeCodeOpen, &open)
	alice.want(hub.CodeBadEvent, hub.TypeCodeOpen, &open)
	bob.want(hub.CodeNotFound, hub.TypeCodeBurn, &hub.CodeBurn{Box: all[0].box, Reason: hub.BurnClosed})
	bob.want(hub.CodeBadEvent, hub.TypeCodeDone, &hub.CodeDone{Box: all[1].box, Tag: make([]byte, 32), Sealed: []byte{1}, Sig: make([]byte, 64)})

	// A code lives for 10 minutes; a claim at the end is still good.
	w.passAlive(hub.CodeLife-broker.SweepEvery, bob, alice)
	d := alice.claim(all[1].plate)
	w.pass(broker.SweepEvery)
	if alice.claim(all[2].plate) != nil {
		t.Error("a code is claimed after its life")
	}
	alice.want(hub.TypeOK, hub.TypeCodeConfirm, d.Confirm())
	bob.want(hub.TypeOK, hub.TypeCodeDone, all[1].proven(alice.key))
}

// A node that opens and closes codes all the time is slowed down.
func TestNewCodeRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob, _ := bobAndAlice(w)
	churn := func() string {
		end, err := hub.OpenCode(w.hub.ID(), bob.key, hub.KindPipe, hub.NewID(), words)
		w.ok("make a share", err)
		open := end.Event()
		got := outcome(bob.ask(hub.TypeCodeOpen, &open))
		bob.ask(hub.TypeCodeBurn, &hub.CodeBurn{Box: open.Box, Reason: hub.BurnClosed})
		return got
	}
	for i := range 20 {
		if got := churn(); got != hub.TypeCodeOpened {
			t.Fatalf("code %d: got %q", i, got)
		}
	}
	if got := churn(); got != hub.CodeRateLimited {
		t.Errorf("code 21: got %q, want %q", got, hub.CodeRateLimited)
	}
	w.pass(time.Second)
	if got := churn(); got != hub.TypeCodeOpened {
		t.Errorf("a second later: got %q", got)
	}
}

// Plates have as few digits as leave nine of ten free.
func TestPlates(t *testing.T) {
	t.Parallel()
	for _, guests := range []bool{false, true} {
		w := newWorld(t)
		w.guests = guests
		w.restart()
		used := map[uint32]bool{}
		for i := range 100 {
			p := w.online(w.member())
			c := p.show(hub.ID{}, identity.ID{})
			want := 3
			switch {
			case guests && i < 90:
			case guests:
				want = 4
			case i < 1:
				want = 1
			case i < 1+9:
				want = 2
			}
			if got := len(strconv.Itoa(int(c.plate))); got != want || used[c.plate] {
				t.Errorf("guests %v, box %d: got plate %d, used %v; want a new one of %d digits", guests, i, c.plate, used[c.plate], want)
			}
			used[c.plate] = true
		}
	}
}

// What is repeated after a reconnect is the same event, for whoever it was of.
func TestRepeatedCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob, alice := bobAndAlice(w)
	c := bob.show(hub.ID{}, identity.ID{})
	for range 7 { // more than the rate of claims allows
		alice = alice.again()
		if alice.claim(c.plate) == nil {
			t.Fatal("the repeat of a claim is refused")
		}
	}
	open := c.end.Event()
	bob = bob.again(named("bob"))
	bob.want(hub.TypeCodeOpened, hub.TypeCodeOpen, &open)
	d := alice.claim(c.plate)
	for range 2 {
		alice = alice.again()
		alice.want(hub.TypeOK, hub.TypeCodeConfirm, d.Confirm())
	}
	bob.take(hub.TypeCodeConfirm, &hub.CodeConfirm{})
	c.p = bob
	done := c.proven(alice.key)
	for range 2 {
		bob.want(hub.TypeOK, hub.TypeCodeDone, done)
		alice.take(hub.TypeCodeDone, &hub.CodeDone{})
		alice.take(hub.TypeCreated, &hub.Created{})
		bob.take(hub.TypeCreated, &hub.Created{})
		bob = bob.again(named("bob"))
	}
	alice.want(hub.TypeOK, hub.TypeCodeConfirm, d.Confirm())
	alice.take(hub.TypeCodeDone, &hub.CodeDone{})
	other := *d.Confirm()
	other.Tag = make([]byte, hub.TagBytes)
	alice.want(hub.CodeNotFound, hub.TypeCodeConfirm, &other)
}

// A hub that was restarted believes the listener who has claimed its box.
func TestCodeAfterRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob, alice := bobAndAlice(w)
	mallory := w.online(w.member())
	c := bob.show(hub.ID{}, identity.ID{})
	d := alice.claim(c.plate)
	w.restart()
	bob, alice, mallory = bob.again(), alice.again(), mallory.again()
	alice.want(hub.CodeNotFound, hub.TypeCodeConfirm, d.Confirm())
	open := c.end.Event()
	open.Claimed = alice.key.ID()
	bob.want(hub.TypeCodeOpened, hub.TypeCodeOpen, &open)
	mallory.want(hub.CodeNotFound, hub.TypeCodeConfirm, d.Confirm())
	alice.want(hub.TypeOK, hub.TypeCodeConfirm, d.Confirm())
	c.p = bob
	bob.want(hub.TypeOK, hub.TypeCodeDone, c.proven(alice.key))

	// The node does not come back: the box is free again after the usual time.
	second := bob.show(hub.ID{}, alice.key.ID())
	if mallory.claim(second.plate) != nil {
		t.Error("a box is claimed twice")
	}
	w.passAlive(hub.ConfirmTimeout, bob)
	bob.take(hub.TypeCodeFreed, &hub.CodeFreed{})
	bob.show(second.box, identity.ID{})
	if mallory.claim(second.plate) == nil {
		t.Error("the box is not free after the silence")
	}
}

// A hub that was restarted gives a box the plate that it had before, if that is free, and not
// when a code of that time is over.
func TestFormerPlate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		had   uint32
		since time.Duration // of the restart
		other func(w *world, other *peer)
		again bool
	}{
		{name: "at once", had: 777, again: true},
		{name: "large", had: hub.MaxPlate, again: true},
		{name: "just in time", had: 777, since: hub.CodeLife - time.Second, again: true},
		{name: "too late", had: 777, since: hub.CodeLife},
		{name: "in use", had: 777, other: func(w *world, other *peer) { other.reopen(hub.NewID(), 777, identity.ID{}) }},
		{name: "used a moment ago", had: 777, other: func(w *world, other *peer) {
			c := other.reopen(hub.NewID(), 777, identity.ID{})
			other.want(hub.TypeOK, hub.TypeCodeBurn, &hub.CodeBurn{Box: c.box, Reason: hub.BurnClosed})
		}},
	} {
		w := newWorld(t)
		bob, other := bobAndAlice(w)
		w.passAlive(tt.since, bob, other)
		if tt.other != nil {
			tt.other(w, other)
		}
		if got := bob.reopen(hub.NewID(), tt.had, identity.ID{}).plate; (got == tt.had) != tt.again {
			t.Errorf("%s: got plate %d, had %d, want it again: %v", tt.name, got, tt.had, tt.again)
		}
	}
}

// A listener that knows who has claimed its box says so, and that node gets the box once more
// by its plate, nobody else.
func TestClaimedPlate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob, alice := bobAndAlice(w)
	mallory := w.online(w.member())
	c := bob.reopen(hub.NewID(), 55, alice.key.ID())
	if mallory.claim(55) != nil {
		t.Error("a box is claimed twice")
	}
	d := alice.claim(55)
	if d == nil {
		t.Fatal("the node that has claimed the box does not get it")
	}
	alice.want(hub.TypeOK, hub.TypeCodeConfirm, d.Confirm())
	bob.want(hub.TypeOK, hub.TypeCodeDone, c.proven(alice.key))

	// A box that is free again is given to the node that the listener names.
	c = bob.show(hub.ID{}, alice.key.ID())
	w.passAlive(hub.ConfirmTimeout, bob, alice, mallory)
	bob.take(hub.TypeCodeFreed, &hub.CodeFreed{})
	c = bob.show(c.box, alice.key.ID())
	if mallory.claim(c.plate) != nil {
		t.Error("a box is claimed twice")
	}
	if d = alice.claim(c.plate); d == nil {
		t.Fatal("the node that has claimed the box does not get it")
	}
	alice.want(hub.TypeOK, hub.TypeCodeConfirm, d.Confirm())
	bob.want(hub.TypeOK, hub.TypeCodeDone, c.proven(alice.key))
}

// A session and a box never share an id of different nodes.
func TestBoxAndSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob, alice := bobAndAlice(w)
	c := bob.show(hub.ID{}, identity.ID{})
	d := alice.claim(c.plate)
	alice.want(hub.TypeOK, hub.TypeCodeConfirm, d.Confirm())
	bob.want(hub.TypeOK, hub.TypeCodeDone, c.proven(alice.key))
	open := c.end.Event()
	bob.want(hub.CodeBadEvent, hub.TypeCodeOpen, &open)
	r := alice.request("bob")
	r.Session = c.box
	r.Sign(alice.key, w.hub.ID())
	alice.want(hub.CodeBadEvent, hub.TypeRequest, r)
	s := alice.request("bob")
	alice.want(hub.TypeOK, hub.TypeRequest, s)
	end, err := hub.OpenCode(w.hub.ID(), bob.key, hub.KindPipe, s.Session, words)
	w.ok("make a share", err)
	open = end.Event()
	bob.want(hub.CodeBadEvent, hub.TypeCodeOpen, &open)
}

// A member that is removed has no box any more.
func TestRemovedCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob, alice := bobAndAlice(w)
	c := bob.show(hub.ID{}, identity.ID{})
	alice.claim(c.plate)
	w.ok("remove", w.b.RemoveMember("admin", bob.key.ID()))
	w.pass(2 * time.Second)
	alice.take(hub.TypeCodeBurn, &hub.CodeBurn{})
}

// nextSource is an address of another source.
func nextSource(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Next(), a.Port())
}

// A plate that a code has had is avoided while that code could have been used, and is never
// that of another code of the same node in that time. Codes of others grow no longer by it.
func TestPlateRests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob, carol := w.online(w.member()), w.online(w.member())
	had := map[uint32]bool{}
	for i := range 12 {
		c := bob.show(hub.ID{}, identity.ID{})
		if had[c.plate] || c.plate > 99 {
			t.Errorf("code %d: got the plate %d, want a new one of at most 2 digits", i, c.plate)
		}
		had[c.plate] = true
		bob.want(hub.TypeOK, hub.TypeCodeBurn, &hub.CodeBurn{Box: c.box, Reason: hub.BurnClosed})
		if i > 7 {
			continue
		}
		other := carol.show(hub.ID{}, identity.ID{})
		if other.plate > 9 {
			t.Errorf("after %d codes of another node: got the plate %d, want one digit", i+1, other.plate)
		}
		if i < 4 && had[other.plate] {
			t.Errorf("after %d codes of another node: got its former plate %d", i+1, other.plate)
		}
		carol.want(hub.TypeOK, hub.TypeCodeBurn, &hub.CodeBurn{Box: other.box, Reason: hub.BurnClosed})
		w.pass(time.Second)
	}
	if got := w.b.Resting(); got == 0 {
		t.Error("no plate rests")
	}
	w.passAlive(hub.CodeLife+time.Second, bob, carol)
	if got := w.b.Resting(); got != 0 {
		t.Errorf("%d plates rest for ever", got)
	}
	if c := bob.show(hub.ID{}, identity.ID{}); c.plate > 9 {
		t.Errorf("got the plate %d, want one digit", c.plate)
	}
}
