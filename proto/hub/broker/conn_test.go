package broker_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/xtest"
)

// The same instance again replaces its older connection and keeps all that it had.
func TestReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.online(w.member(), named("bob"))
	again := bob.again()
	if bob.code != hub.CloseReplaced {
		t.Errorf("the older connection is closed with %d, want %d", bob.code, hub.CloseReplaced)
	}
	bob.k.Lost()
	w.pass(time.Minute / 2)
	alice := w.online(w.member())
	begin(alice, again)
	if n := w.b.Count().Connections; n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

func TestMaxConns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member()
	var last *peer
	for range broker.MaxNodeConns {
		last = w.online(key)
	}
	_, err := w.login(key, hub.NewID(), nil)
	wantDenied(t, "the 17th", err, hub.CloseFull)
	last = last.again()
	last.k.Left()
	w.online(key)
}

// A client that is silent is lost, but not because the hub itself stood still.
func TestSilence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.online(w.member())
	w.pass(hub.LostAfter)
	if p.code != 0 {
		t.Errorf("closed with %d after %v", p.code, hub.LostAfter)
	}
	w.now = w.now.Add(time.Hour) // the machine slept
	w.b.Sweep()
	if p.code != 0 {
		t.Error("closed since the hub stood still")
	}
	p.k.Ping()
	w.pass(hub.LostAfter + broker.LostEvery)
	if p.code == 0 {
		t.Error("a silent client is not closed")
	}
	w.pass(hub.Grace)
	if n := w.b.Count().Connections; n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

// 60 events at once, 20 a second; 100 more that are refused than taken close the connection.
func TestEventRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.online(w.member())
	for range 60 {
		p.want(hub.CodeUnsupported, "system.nonsense", nil)
	}
	for range broker.MaxRefused - 1 {
		p.want(hub.CodeRateLimited, "system.nonsense", nil)
	}
	w.pass(time.Second)
	for range 20 {
		p.want(hub.CodeUnsupported, "system.nonsense", nil)
	}
	for range 20 {
		p.want(hub.CodeRateLimited, "system.nonsense", nil)
	}
	p.ask("system.nonsense", nil)
	if p.code != hub.CloseTooSlow {
		t.Errorf("closed with %d, want %d", p.code, hub.CloseTooSlow)
	}
}

// Pings are cheap, but a flood of them is one of events.
func TestPingFlood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.online(w.member())
	for range 200 {
		p.k.Ping()
	}
	if p.code != hub.CloseTooSlow {
		t.Errorf("closed with %d, want %d", p.code, hub.CloseTooSlow)
	}
}

func TestUnknownEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.online(w.member())
	for typ, want := range map[string]string{"system.new": hub.CodeUnsupported, "p2p.new": hub.CodeUnsupported, "other.new": hub.CodeBadEvent, "system.hello": hub.CodeUnsupported, "p2p.session.created": hub.CodeUnsupported} {
		p.want(want, typ, nil)
	}
	p.events = nil
	p.k.Handle(hub.Event{Type: "system.new"})
	if len(p.events) != 0 {
		t.Errorf("an event without id is answered: %v", types(p.events))
	}
	p.want(hub.CodeBadEvent, hub.TypeLookup, &hub.SessionRef{Session: hub.NewID()})
}

// Too many failed logins of a source block it, but not if a member is there.
func TestBlocked(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		w := newWorld(t)
		member := w.member()
		if shared {
			w.online(member)
		}
		stranger := xtest.NewKey(t)
		for range 20 {
			_, _ = w.login(stranger, hub.NewID(), nil)
		}
		if w.b.Blocked(source.Addr()) {
			t.Error("blocked after 20 failed logins")
		}
		_, _ = w.login(stranger, hub.NewID(), nil)
		if got := w.b.Blocked(source.Addr()); got == shared {
			t.Errorf("blocked %v after 21 failed logins, with a member there: %v", got, shared)
		}
		if w.b.Blocked(netip.MustParseAddr("192.0.2.10")) {
			t.Error("another source is blocked")
		}
		w.pass(broker.BlockFor)
		if w.b.Blocked(source.Addr()) {
			t.Error("blocked after its time")
		}
	}
}

func TestSource(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"192.0.2.9": "192.0.2.9/32", "::ffff:192.0.2.9": "192.0.2.9/32", "2001:db8:1:2ff::1": "2001:db8:1:200::/56", "fe80::1%eth0": "fe80::/56"} {
		if got := broker.Source(netip.MustParseAddr(text)).String(); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	_ = broker.Source(netip.Addr{})
}

func TestDrain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all []*peer
	for range 4 {
		all = append(all, w.online(w.member()))
	}
	w.b.Drain(8*time.Second, nil)
	_, err := w.login(all[0].key, hub.NewID(), nil)
	wantDenied(t, "a login while the hub drains", err, hub.CloseFull)
	for want := range 4 {
		w.pass(2 * time.Second)
		closed := 0
		for _, p := range all {
			if p.code == hub.CloseRestart {
				closed++
			}
		}
		if at := min(want+2, 4); closed != at { // at 0, 2, 4 and 6 s
			t.Errorf("%d connections are closed after %d s, want %d", closed, 2*(want+1), at)
		}
	}
	all[0].take(hub.TypeGoAway, new(hub.GoAway))
}

// A store that fails refuses changes; members log in and sessions go on.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	_, use := w.invite(broker.Invite{})
	w.store.fail = errors.New("no space left on device")
	_, err := w.login(xtest.NewKey(t), hub.NewID(), use)
	wantDenied(t, "join", err, hub.CloseFull)
	alice.want(hub.CodeInternal, hub.TypeRegister, new(lasting("new")))
	alice.want(hub.TypeRegistered, hub.TypeRegister, new(named("passing")))
	wantRefused(t, "add member", w.b.AddMember("admin", xtest.NewKey(t).ID(), time.Time{}), hub.CodeInternal)
	wantRefused(t, "remove member", w.b.RemoveMember("admin", bob.key.ID()), hub.CodeInternal)
	w.online(bob.key)
	begin(alice, bob)
	w.store.fail = nil
	alice.want(hub.TypeRegistered, hub.TypeRegister, new(lasting("new")))
}
