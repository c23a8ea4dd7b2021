package broker_test

import (
	"net/netip"
	"testing"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

func newGuestWorld(t *testing.T) *world {
	w := newWorld(t)
	w.guests = true
	w.restart()
	return w
}

// A guest may claim a code and have the session that follows, and nothing else.
func TestGuest(t *testing.T) {
	t.Parallel()
	w := newGuestWorld(t)
	bob := w.online(w.member(), named("bob"))
	guest := w.online(xtest.NewKey(t), named("carol"))
	var welcome hub.Welcome
	if guest.take(hub.TypeWelcome, &welcome); len(welcome.Registered) != 1 || welcome.Registered[0].Code != hub.CodeDenied || welcome.Limits[hub.LimitGuests] != 1 {
		t.Errorf("got welcome %+v", welcome)
	}
	end, err := hub.OpenCode(w.hub.ID(), guest.key, hub.KindPipe, hub.NewID(), words)
	w.ok("make a share", err)
	open := end.Event()
	for typ, data := range map[string]hub.Data{
		hub.TypeRegister: new(named("carol")), hub.TypeRelease: &hub.Release{Name: "bob"}, hub.TypeLookup: &hub.Lookup{Peer: "bob"},
		hub.TypeWatch: &hub.Watch{Peer: "bob", Kind: hub.KindPing}, hub.TypeRoomJoin: &hub.RoomJoin{Room: "ops"}, hub.TypeRequest: guest.request("bob"),
		hub.TypeToken: nil, hub.TypeCodeOpen: &open, hub.TypeCodeDone: nil, hub.TypeCodeBurn: nil, hub.TypeAccept: nil, "p2p.new": nil, "system.new": nil,
	} {
		guest.want(hub.CodeDenied, typ, data)
	}
	c := bob.show(hub.ID{}, identity.ID{})
	guest.want(hub.TypeOK, hub.TypeCodeConfirm, guest.claim(c.plate).Confirm())
	bob.want(hub.TypeOK, hub.TypeCodeDone, c.proven(guest.key))
	guest.take(hub.TypeCreated, &hub.Created{})
	w.passAlive(2*broker.GuestFor, bob, guest)
	guest.want(hub.TypeOK, hub.TypeCandidates, &hub.Candidates{Session: c.box, Gen: 1, Sealed: []byte{1}})
	if guest.code != 0 {
		t.Fatalf("the guest is closed with %d while its session lives", guest.code)
	}
	bob.want(hub.TypeOK, hub.TypeClosed, &hub.Closed{Session: c.box, Reason: "done"})
	w.pass(broker.SweepEvery)
	guest.take(hub.TypeClosed, &hub.Closed{})
	if guest.code != hub.CloseNoMember {
		t.Errorf("after its session: got close code %d, want %d", guest.code, hub.CloseNoMember)
	}
}

// A guest that claims nothing is closed, and a claim gives it more time.
func TestIdleGuest(t *testing.T) {
	t.Parallel()
	w := newGuestWorld(t)
	bob := w.online(w.member())
	idle, busy := w.online(xtest.NewKey(t)), w.online(xtest.NewKey(t))
	c := bob.show(hub.ID{}, identity.ID{})
	w.passAlive(broker.GuestFor-broker.SweepEvery, bob, idle, busy)
	if idle.code != 0 || busy.claim(c.plate) == nil {
		t.Fatalf("closed with %d, %d before %v", idle.code, busy.code, broker.GuestFor)
	}
	w.pass(broker.SweepEvery)
	if idle.code != hub.CloseNoMember || busy.code != 0 {
		t.Errorf("got close codes %d and %d, want %d and none", idle.code, busy.code, hub.CloseNoMember)
	}
	w.passAlive(2*broker.GuestFor, bob, busy)
	if busy.code != hub.CloseNoMember {
		t.Errorf("after its claim: got close code %d, want %d", busy.code, hub.CloseNoMember)
	}
}

// Who is no guest: anybody without --guests, a banned or removed node, a bad invite.
func TestNoGuest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.login(xtest.NewKey(t), hub.NewID(), nil)
	wantDenied(t, "no guests here", err, hub.CloseNoMember)
	w = newGuestWorld(t)
	removed := w.member()
	w.ok("remove", w.b.RemoveMember("admin", removed.ID()))
	_, err = w.login(removed, hub.NewID(), nil)
	wantDenied(t, "removed", err, hub.CloseNoMember)
	key := xtest.NewKey(t)
	_, err = w.login(key, hub.NewID(), func(l *hub.Login, h *hub.Hello) {
		h.Invite = l.SignJoin(hub.NewInvite(hub.URL{}, w.now.Add(time.Hour)), key.ID())
	})
	wantDenied(t, "an invite that nobody made", err, hub.CloseNoMember)
	// A guest that becomes a member is one at its next login.
	w.online(key)
	w.ok("add", w.b.AddMember("admin", key.ID(), time.Time{}))
	w.online(key).want(hub.TypeRegistered, hub.TypeRegister, new(named("dave")))
}

// A change of members or bans ends only those guests that are meant.
func TestExpelledGuest(t *testing.T) {
	t.Parallel()
	w := newGuestWorld(t)
	stays, banned, bob := w.online(xtest.NewKey(t)), w.online(xtest.NewKey(t)), w.member()
	w.ok("ban", w.b.AddBan("admin", banned.key.ID().String()))
	w.ok("remove", w.b.RemoveMember("admin", bob.ID()))
	if stays.code != 0 || banned.code != hub.CloseNoMember {
		t.Errorf("got close codes %d and %d, want none and %d", stays.code, banned.code, hub.CloseNoMember)
	}
}

func TestGuestLimits(t *testing.T) {
	t.Parallel()
	w := newGuestWorld(t)
	var one *peer
	for range broker.MaxSourceGuests {
		one = w.online(xtest.NewKey(t))
	}
	_, err := w.login(xtest.NewKey(t), hub.NewID(), nil)
	wantDenied(t, "one more of the source", err, hub.CloseFull)
	w.online(w.member())
	one.k.Left()
	w.online(xtest.NewKey(t))
	for n := broker.MaxSourceGuests; n < broker.MaxGuests; n++ {
		if n%broker.MaxSourceGuests == 0 {
			w.from = netip.AddrPortFrom(w.from.Addr().Next(), 1)
		}
		w.online(xtest.NewKey(t))
	}
	w.from = netip.AddrPortFrom(w.from.Addr().Next(), 1)
	_, err = w.login(xtest.NewKey(t), hub.NewID(), nil)
	wantDenied(t, "one more in all", err, hub.CloseFull)
	w.pass(broker.GuestFor)
	w.online(xtest.NewKey(t))
}
