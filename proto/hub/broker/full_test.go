package broker_test

import (
	"fmt"
	"testing"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

// What a hub has only so many of is refused once there are so many, and nobody loses what it
// has: each takes the last place, and then finds none.
func TestFull(t *testing.T) {
	t.Parallel()
	for what, tt := range map[string]struct {
		max  int
		take func(w *world, p *peer, i int) string // the code of the refusal
		full string
	}{
		"members": {broker.MaxMembers, func(w *world, _ *peer, _ int) string {
			return refusal(w.b.AddMember("admin", xtest.NewKey(w.t).ID(), time.Time{}))
		}, hub.CodeLimit},
		"bans": {broker.MaxBans, func(w *world, _ *peer, i int) string {
			return refusal(w.b.AddBan("admin", fmt.Sprintf("203.0.113.%d", i)))
		}, hub.CodeLimit},
		"names": {broker.MaxNames, func(_ *world, p *peer, i int) string {
			return outcome(p.ask(hub.TypeRegister, new(lasting(fmt.Sprint("name", i)))))
		}, hub.CodeLimit},
		"rooms": {broker.MaxRooms, func(_ *world, p *peer, i int) string {
			return outcome(p.ask(hub.TypeRoomJoin, &hub.RoomJoin{Room: fmt.Sprint("room", i)}))
		}, hub.CodeLimit},
		"sessions": {broker.MaxSessions, func(_ *world, p *peer, _ int) string { return outcome(p.ask(hub.TypeRequest, p.request("bob"))) }, hub.CodeLimit},
		"requests": {broker.MaxBuckets, func(w *world, _ *peer, _ int) string {
			p := w.online(w.member())
			return outcome(p.ask(hub.TypeRequest, p.request("bob")))
		}, hub.CodeRateLimited},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p, bob := w.online(w.member()), w.online(w.member(), named("bob"))
			w.b.Fill(what, tt.max-1)
			if got := tt.take(w, p, 1); got == tt.full {
				t.Errorf("number %d: got %q", tt.max, got)
			}
			for i := range 2 {
				if got := tt.take(w, p, 2+i); got != tt.full {
					t.Errorf("number %d: got %q, want %q", tt.max+1+i, got, tt.full)
				}
			}
			p.want(hub.TypePeer, hub.TypeLookup, &hub.Lookup{Peer: "bob"})
			if bob.code != 0 || p.code != 0 {
				t.Errorf("a connection is closed, with %d and %d", bob.code, p.code)
			}
		})
	}
}

// refusal returns the code with which the broker refuses, "" for none.
func refusal(err error) string {
	if r, ok := err.(*broker.Refusal); ok {
		return r.Code
	}
	return ""
}

// An invite makes no member of a hub that is full, and keeps its use.
func TestFullInvite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, use := w.invite(broker.Invite{})
	last := w.member()
	w.b.Fill("members", broker.MaxMembers)
	key := xtest.NewKey(t)
	_, err := w.login(key, hub.NewID(), use)
	wantDenied(t, "a full hub", err, hub.CloseNoMember)
	w.online(last)
	w.restart() // what was filled in was never stored
	_, err = w.login(key, hub.NewID(), use)
	w.ok("the same invite later", err)
}

// Sources whose failed logins the hub cannot count any more are blocked as if they had
// failed too often, and a member's source is not.
func TestFullFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.b.Fill("failed", broker.MaxBuckets)
	member := w.member()
	_, err := w.login(xtest.NewKey(t), hub.NewID(), nil)
	wantDenied(t, "a stranger", err, hub.CloseNoMember)
	if !w.b.Blocked(source.Addr()) {
		t.Error("a source that cannot be counted is not blocked")
	}
	w.pass(broker.BlockFor)
	w.online(member)
	_, err = w.login(xtest.NewKey(t), hub.NewID(), nil)
	wantDenied(t, "a stranger beside a member", err, hub.CloseNoMember)
	if w.b.Blocked(source.Addr()) {
		t.Error("the source of a member is blocked")
	}
}

// A listener has 1,024 open sessions.
func TestMaxListening(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	w.b.SetServing(bob.key.ID(), broker.MaxListening-1)
	alice.want(hub.TypeOK, hub.TypeRequest, alice.request("bob"))
	alice.want(hub.CodeLimit, hub.TypeRequest, alice.request("bob"))
	w.b.SetServing(bob.key.ID(), broker.MaxListening-1)
	alice.want(hub.TypeOK, hub.TypeRequest, alice.request("bob"))
}

// 1,024 requests for one listener are open, those that wait for their turn included; the
// next one is refused at once, and there is place again when one has ended.
func TestMaxWaiting(t *testing.T) {
	t.Parallel()
	const atOnce, ofDialer = 30, 20
	w, alice, bob := pair(t)
	var p *peer
	for i := range broker.MaxListening {
		if i%ofDialer == 0 {
			p = w.online(w.member())
		}
		p.want(hub.TypeOK, hub.TypeRequest, p.request("bob"))
		p.none(hub.TypeDeclined)
	}
	if n := len(bob.events) - 1; n != atOnce {
		t.Errorf("the listener got %d offers, want %d", n, atOnce)
	}
	alice.want(hub.CodeLimit, hub.TypeRequest, alice.request("bob"))
	var o hub.Offer
	bob.take(hub.TypeOffer, &o)
	bob.want(hub.TypeOK, hub.TypeDecline, &hub.Decline{Session: o.Request.Session, Code: hub.CodeBusy})
	alice.want(hub.TypeOK, hub.TypeRequest, alice.request("bob"))
	alice.want(hub.CodeLimit, hub.TypeRequest, alice.request("bob"))
}

// A request that was cancelled keeps its place in the listener's queue until its turn: members
// that ask and cancel fill no more than 1,024 of them. A sweep makes place again.
func TestMaxWaitingCancelled(t *testing.T) {
	t.Parallel()
	const atOnce, ofDialer = 30, 20
	w, alice, bob := pair(t)
	var p *peer
	for i := range atOnce + broker.MaxWaiting {
		if i%ofDialer == 0 {
			p = w.online(w.member())
		}
		r := p.request("bob")
		p.want(hub.TypeOK, hub.TypeRequest, r)
		p.none(hub.TypeDeclined)
		p.want(hub.TypeOK, hub.TypeCancel, &hub.SessionRef{Session: r.Session})
	}
	var d hub.Declined
	alice.want(hub.TypeOK, hub.TypeRequest, alice.request("bob"))
	if alice.take(hub.TypeDeclined, &d); d.Code != hub.CodeBusy {
		t.Errorf("with a full queue: got %q, want %q", d.Code, hub.CodeBusy)
	}
	w.pass(time.Second)
	offers := len(bob.events)
	alice.want(hub.TypeOK, hub.TypeRequest, alice.request("bob"))
	alice.none(hub.TypeDeclined)
	if n := len(bob.events) - offers; n != 1 {
		t.Errorf("after a sweep the listener got %d offers, want 1", n)
	}
}

// 64 events wait for a client whose connection is lost; more are dropped.
func TestMaxHeld(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	bob.want(hub.TypeOK, hub.TypeWatch, &hub.Watch{Peer: "alice", Kind: hub.KindPipe})
	bob.k.Lost()
	for range broker.MaxHeld + 5 {
		alice.want(hub.TypeRegistered, hub.TypeRegister, new(named("alice")))
		w.now = w.now.Add(time.Second / 20)
	}
	bob = bob.again()
	n := 0
	for _, typ := range types(bob.events) {
		if typ == hub.TypeOnline {
			n++
		}
	}
	if n != broker.MaxHeld {
		t.Errorf("got %d events after the reconnect, want %d", n, broker.MaxHeld)
	}
}

// Two nodes that ask each other at the same time have two sessions, each with its own dialer.
func TestGlare(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	ra, rb := alice.request("bob"), bob.request("alice")
	alice.want(hub.TypeOK, hub.TypeRequest, ra)
	bob.want(hub.TypeOK, hub.TypeRequest, rb)
	for _, one := range []struct {
		dialer, listener *peer
		r                *hub.Request
	}{{alice, bob, ra}, {bob, alice, rb}} {
		var o hub.Offer
		if e := one.listener.take(hub.TypeOffer, &o); e.From != one.dialer.key.ID() || o.Request.Session != one.r.Session {
			t.Errorf("got an offer of %s for %s", e.From.Short(), o.Request.Session)
		}
		one.dialer.want(hub.CodeGone, hub.TypeAccept, acceptOf(one.r.Session))
		one.listener.want(hub.TypeOK, hub.TypeAccept, acceptOf(one.r.Session))
		for p, role := range map[*peer]string{one.dialer: hub.RoleDialer, one.listener: hub.RoleListener} {
			var c hub.Created
			if p.take(hub.TypeCreated, &c); c.Session != one.r.Session || c.Role != role {
				t.Errorf("got created %+v, want role %s of %s", c, role, one.r.Session)
			}
		}
	}
	if n := w.b.Count().Sessions; n != 2 {
		t.Errorf("got %d sessions, want 2", n)
	}
	both, _ := w.b.Sessions(identity.ID{}, everything)
	if len(both) == 2 && both[0].Dialer == both[1].Dialer {
		t.Errorf("both sessions have the dialer %s", both[0].Dialer.Short())
	}
}

// A hub that is restarted before or after any step of a session, or several times, does not
// keep it from being made: both ends announce themselves again, the dialer repeats its
// request, and the listener its answer.
func TestRestartAtEachStep(t *testing.T) {
	t.Parallel()
	const steps = 4 // request, pending, accept, candidates
	for cuts := range 1 << (steps + 1) {
		w, alice, bob := pair(t)
		r, accepted := alice.request("bob"), false
		restart := func(at int) {
			if cuts>>at&1 == 0 {
				return
			}
			w.restart()
			alice, bob = alice.again(named("alice")), bob.again(named("bob"))
			if at == 0 {
				return // nothing was asked
			}
			alice.want(hub.TypeOK, hub.TypeRequest, r)
			bob.take(hub.TypeOffer, new(hub.Offer))
			if accepted {
				bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
			}
		}
		restart(0)
		alice.want(hub.TypeOK, hub.TypeRequest, r)
		bob.take(hub.TypeOffer, new(hub.Offer))
		restart(1)
		bob.want(hub.TypeOK, hub.TypePending, &hub.SessionRef{Session: r.Session})
		alice.take(hub.TypePending, new(hub.SessionRef))
		restart(2)
		bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
		accepted = true
		restart(3)
		var c hub.Created
		if alice.take(hub.TypeCreated, &c); string(c.SessionToken) != "sealed" || c.Session != r.Session || c.Peer != bob.key.ID() {
			t.Errorf("restarts %05b: got %+v", cuts, c)
		}
		alice.want(hub.TypeOK, hub.TypeCandidates, &hub.Candidates{Session: r.Session, Gen: 1, Sealed: []byte{1}})
		bob.take(hub.TypeCandidates, new(hub.Candidates))
		restart(4)
		bob.want(hub.TypeOK, hub.TypeCandidates, &hub.Candidates{Session: r.Session, Gen: 1, Sealed: []byte{1}})
		alice.take(hub.TypeCandidates, new(hub.Candidates))
		if n := w.b.Count().Sessions; n != 1 || t.Failed() {
			t.Fatalf("restarts %05b: %d sessions, want 1", cuts, n)
		}
	}
}

// The same for a code that was claimed. One that nobody has claimed gets another plate.
func TestRestartAtEachStepOfCode(t *testing.T) {
	t.Parallel()
	const steps = 4 // open, claim, confirm, done
	for cuts := range 1 << (steps + 1) {
		w := newWorld(t)
		bob, alice := bobAndAlice(w)
		var c *shown
		var d *hub.CodeDialer
		var done *hub.CodeDone
		restart := func(at int) {
			if cuts>>at&1 == 0 {
				return
			}
			w.restart()
			bob, alice = bob.again(named("bob")), alice.again()
			switch {
			case at == 0:
				return
			case at == 1:
				c = bob.show(hub.ID{}, identity.ID{})
				return
			}
			c.p = bob
			open := c.end.Event()
			open.Claimed = alice.key.ID()
			bob.want(hub.TypeCodeOpened, hub.TypeCodeOpen, &open)
			if at < 3 {
				return
			}
			alice.want(hub.TypeOK, hub.TypeCodeConfirm, d.Confirm())
			if done == nil {
				return
			}
			bob.take(hub.TypeCodeConfirm, new(hub.CodeConfirm))
			bob.want(hub.TypeOK, hub.TypeCodeDone, done)
		}
		restart(0)
		c = bob.show(hub.ID{}, identity.ID{})
		restart(1)
		d = alice.claim(c.plate)
		restart(2)
		alice.want(hub.TypeOK, hub.TypeCodeConfirm, d.Confirm())
		restart(3)
		done = c.proven(alice.key)
		bob.want(hub.TypeOK, hub.TypeCodeDone, done)
		restart(4)
		var got hub.CodeDone
		alice.take(hub.TypeCodeDone, &got)
		if _, _, err := d.Open(&got); err != nil {
			t.Errorf("restarts %05b: %v", cuts, err)
		}
		alice.take(hub.TypeCreated, new(hub.Created))
		alice.want(hub.TypeOK, hub.TypeCandidates, &hub.Candidates{Session: c.box, Gen: 1, Sealed: []byte{1}})
		bob.take(hub.TypeCandidates, new(hub.Candidates))
		if t.Failed() {
			t.Fatalf("restarts %05b", cuts)
		}
	}
}
