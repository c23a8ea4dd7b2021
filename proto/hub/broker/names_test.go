package broker_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/xtest"
)

func (p *peer) lookup(peer string) (hub.Peer, string) {
	p.w.t.Helper()
	e := p.ask(hub.TypeLookup, &hub.Lookup{Peer: peer})
	var got hub.Peer
	if e.Type == hub.TypePeer {
		p.w.ok("read", e.Read(&got))
	}
	return got, outcome(e)
}

// The first node to register a name has it; nothing is renamed.
func TestFirstWins(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	w.pass(10 * time.Second)
	e := alice.ask(hub.TypeRegister, new(named("bob")))
	var f hub.Error
	if err := e.Read(&f); err != nil || f.Code != hub.CodeTaken || f.SinceS != 10 || f.Owner != bob.key.ID().Short() {
		t.Errorf("got %s %+v, %v; want taken for 10 s by bob's short id", e.Type, f, err)
	}
	late := w.online(w.member(), named("bob"), named("Carol"), named("carol"))
	var hello hub.Welcome
	late.take(hub.TypeWelcome, &hello)
	if len(hello.Registered) != 3 || hello.Registered[0].Code != hub.CodeTaken || hello.Registered[1].Code != hub.CodeBadName || hello.Registered[2].Code != "" {
		t.Errorf("outcomes in the welcome: %+v", hello.Registered)
	}
	late.want(hub.CodeDenied, hub.TypeRelease, &hub.Release{Name: "bob"})
	late.want(hub.CodeNotFound, hub.TypeRelease, &hub.Release{Name: "nobody"})
	bob.want(hub.TypeOK, hub.TypeRelease, &hub.Release{Name: "bob"})
	late.want(hub.TypeRegistered, hub.TypeRegister, new(named("bob")))
}

// A passing name is free a minute after its connection.
func TestPassing(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	bob.k.Left()
	got, what := alice.lookup("bob")
	if got.Online || got.Node != bob.key.ID() {
		t.Errorf("after it left: %+v %s, want offline", got, what)
	}
	alice.want(hub.CodeOffline, hub.TypeRequest, alice.request("bob"))
	w.passAlive(broker.PassingFor-time.Second, alice)
	alice.want(hub.CodeTaken, hub.TypeRegister, new(named("bob")))
	w.passAlive(time.Second, alice)
	if _, what := alice.lookup("bob"); what != hub.CodeNotFound {
		t.Errorf("after a minute: %s, want not_found", what)
	}
	alice.want(hub.TypeRegistered, hub.TypeRegister, new(named("bob")))
	if len(w.store.log) != 2 {
		t.Errorf("the store has %d entries, want those of the two members: %+v", len(w.store.log), w.store.log)
	}
}

// A lasting name stays through restarts; it is told for 90 days and kept for 30 more.
func TestLasting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.online(w.member()), w.online(w.member(), lasting("bob"))
	owner := bob.key
	w.pass(30 * 24 * time.Hour)
	bob.k.Lost()
	w.b.Sweep()
	w.pass(hub.Grace)
	w.restart()
	w.pass(broker.LastingFor - time.Hour)
	alice = w.online(alice.key)
	if got, what := alice.lookup("bob"); got.Node != owner.ID() || got.Online {
		t.Errorf("before 90 days: %+v %s", got, what)
	}
	w.pass(2 * time.Hour)
	alice = w.online(alice.key)
	if _, what := alice.lookup("bob"); what != hub.CodeNotFound {
		t.Errorf("after 90 days: %s, want not_found", what)
	}
	alice.want(hub.CodeTaken, hub.TypeRegister, new(lasting("bob")))
	w.online(owner).want(hub.TypeRegistered, hub.TypeRegister, new(lasting("bob")))
	w.pass(time.Hour)
	w.restart()
	w.pass(broker.LastingFor + broker.KeptFor)
	w.online(alice.key).want(hub.TypeRegistered, hub.TypeRegister, new(lasting("bob")))
}

// A connection that borrows a lasting name does not make it a passing one.
func TestBorrowedName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	daemon := w.online(w.member(), lasting("bob"))
	borrow := w.online(daemon.key, named("bob"))
	alice := w.online(w.member())
	begin(alice, borrow)
	borrow.k.Left()
	begin(alice, daemon)
	daemon.k.Left()
	w.passAlive(10*time.Minute, alice)
	alice.want(hub.CodeTaken, hub.TypeRegister, new(named("bob")))
}

// A passing name that its owner makes lasting is stored.
func TestMadeLasting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.online(w.member(), named("bob"))
	bob.want(hub.TypeRegistered, hub.TypeRegister, new(lasting("bob")))
	w.restart()
	w.online(w.member()).want(hub.CodeTaken, hub.TypeRegister, new(named("bob")))
}

// The newest connection that takes the kind is asked.
func TestKinds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.online(w.member())
	inbox := w.online(w.member(), hub.Register{Name: "bob", Kinds: []hub.Kind{hub.KindPipe, hub.KindFiles}})
	term := w.online(inbox.key, hub.Register{Name: "bob", Kinds: []hub.Kind{hub.KindTTY}})
	byID := w.online(inbox.key, hub.Register{Kinds: []hub.Kind{hub.KindFiles}})
	for _, tt := range []struct {
		to   string
		kind hub.Kind
		want *peer
	}{
		{"bob", hub.KindPipe, inbox},
		{"bob", hub.KindFiles, inbox},
		{"bob", hub.KindTTY, term},
		{"bob", hub.KindPing, term},
		{inbox.key.ID().String(), hub.KindFiles, byID},
		{inbox.key.ID().String(), hub.KindPipe, inbox},
		{inbox.key.ID().String(), hub.KindPing, byID},
		{"bob", "other", nil},
	} {
		r := alice.request(tt.to)
		r.Kind = tt.kind
		r.Sign(alice.key, w.hub.ID())
		got := outcome(alice.ask(hub.TypeRequest, r))
		if tt.want == nil {
			if got != hub.CodeOffline {
				t.Errorf("%s %s: got %s, want offline", tt.to, tt.kind, got)
			}
			continue
		}
		for name, p := range map[string]*peer{"inbox": inbox, "term": term, "byID": byID} {
			has := slices.Contains(types(p.events), hub.TypeOffer)
			if has != (p == tt.want) {
				t.Errorf("%s %s: %s was asked: %v", tt.to, tt.kind, name, has)
			}
			p.events = nil
		}
	}
	got, _ := alice.lookup("bob")
	if !got.Online || !slices.Equal(got.Kinds, []hub.Kind{hub.KindPipe, hub.KindFiles, hub.KindTTY}) {
		t.Errorf("lookup: %+v", got)
	}
}

// Eight names of a node, ten new ones an hour.
func TestNameLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.online(w.member())
	for i := range hub.MaxNames {
		p.want(hub.TypeRegistered, hub.TypeRegister, new(lasting(fmt.Sprint("n", i))))
	}
	p.want(hub.CodeLimit, hub.TypeRegister, new(lasting("n8")))
	p.want(hub.TypeRegistered, hub.TypeRegister, new(lasting("n7")))
	for i := range 2 {
		p.want(hub.TypeOK, hub.TypeRelease, &hub.Release{Name: fmt.Sprint("n", i)})
		p.want(hub.TypeRegistered, hub.TypeRegister, new(lasting(fmt.Sprint("m", i))))
	}
	p.want(hub.TypeOK, hub.TypeRelease, &hub.Release{Name: "n2"})
	p.want(hub.CodeLimit, hub.TypeRegister, new(lasting("m2")))
	w.passAlive(6*time.Minute, p)
	p.want(hub.TypeRegistered, hub.TypeRegister, new(lasting("m2")))
}

func TestWatch(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	bob.k.Left()
	alice.want(hub.TypeOK, hub.TypeWatch, &hub.Watch{Peer: "bob", Kind: hub.KindTTY})
	alice.want(hub.CodeNotFound, hub.TypeWatch, &hub.Watch{Peer: "nobody", Kind: hub.KindTTY})
	bob = w.online(bob.key, named("bob"))
	alice.none(hub.TypeOnline)
	bob.want(hub.TypeRegistered, hub.TypeRegister, new(named("bob", hub.KindTTY)))
	var o hub.Online
	if alice.take(hub.TypeOnline, &o); o.Node != bob.key.ID() || o.Name != "bob" || !slices.Contains(o.Kinds, hub.KindTTY) {
		t.Errorf("online: %+v", o)
	}
	bob.again() // replaces the connection, with all that it had
	alice.take(hub.TypeOnline, &o)
	alice.want(hub.TypeOK, hub.TypeWatch, &hub.Watch{Peer: "bob", Kind: hub.KindTTY})
	alice.take(hub.TypeOnline, &o) // it is online now
	alice.k.Left()
	w.online(bob.key, named("bob", hub.KindTTY))
	alice.none(hub.TypeOnline)
}

func TestWatchLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.online(w.member())
	for range broker.MaxWatches {
		p.want(hub.TypeOK, hub.TypeWatch, &hub.Watch{Peer: w.member().ID().String(), Kind: hub.KindPing})
	}
	p.want(hub.CodeLimit, hub.TypeWatch, &hub.Watch{Peer: w.member().ID().String(), Kind: hub.KindPing})
}

func TestLookupRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.online(w.member())
	for range 30 {
		p.want(hub.CodeNotFound, hub.TypeLookup, &hub.Lookup{Peer: "nobody"})
	}
	p.want(hub.CodeRateLimited, hub.TypeLookup, &hub.Lookup{Peer: "nobody"})
	w.pass(time.Second)
	for range 10 {
		p.want(hub.CodeNotFound, hub.TypeLookup, &hub.Lookup{Peer: "nobody"})
	}
	p.want(hub.CodeRateLimited, hub.TypeLookup, &hub.Lookup{Peer: "nobody"})
}

// A name in an open invite is reserved for the node that joins with it.
func TestInvitedName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, use := w.invite(broker.Invite{Name: "bob"})
	alice := w.online(w.member())
	alice.want(hub.CodeReserved, hub.TypeRegister, new(named("bob")))
	wantRefused(t, "the name again", w.b.AddInvite("admin", broker.Invite{Key: [32]byte{9}, Name: "bob", Uses: 1, Expires: w.now.Add(time.Hour)}), hub.CodeTaken)
	bob, err := w.login(xtest.NewKey(t), hub.NewID(), use)
	w.ok("join", err)
	bob.want(hub.TypeRegistered, hub.TypeRegister, new(named("bob")))
	begin(alice, bob)
	w.ok("free", w.b.FreeName("admin", "bob"))
	alice.want(hub.CodeNotFound, hub.TypeRequest, alice.request("bob"))
	wantRefused(t, "free it again", w.b.FreeName("admin", "bob"), hub.CodeNotFound)
	alice.want(hub.TypeRegistered, hub.TypeRegister, new(named("bob")))
}

func TestPeers(t *testing.T) {
	t.Parallel()
	w, alice, bob := pair(t)
	w.pass(3 * time.Second)
	got, _ := w.b.Peers(broker.PeerQuery{Page: everything})
	if len(got) != 2 || got[0].Name != "alice" || got[0].Node != alice.key.ID() || got[1].Name != "bob" || got[1].Node != bob.key.ID() || got[1].SinceS != 3 {
		t.Errorf("got %+v", got)
	}
	if m, _ := w.b.Members(everything); len(m) != 2 {
		t.Errorf("members: %+v", m)
	}
}

// The admin takes back an invite that was lost, by the name that it reserves: the invite is
// worth nothing then, and the name is free, also after a restart.
func TestFreeInvitedName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, use := w.invite(broker.Invite{Name: "bob"})
	_, other := w.invite(broker.Invite{Name: "carol"})
	w.ok("free", w.b.FreeName("admin", "bob"))
	wantRefused(t, "free it again", w.b.FreeName("admin", "bob"), hub.CodeNotFound)
	w.restart()
	_, err := w.login(xtest.NewKey(t), hub.NewID(), use)
	wantDenied(t, "join", err, hub.CloseNoMember)
	alice := w.online(w.member())
	alice.want(hub.TypeRegistered, hub.TypeRegister, new(named("bob")))
	alice.want(hub.CodeReserved, hub.TypeRegister, new(named("carol")))
	_, err = w.login(xtest.NewKey(t), hub.NewID(), other)
	w.ok("join with the invite that is left", err)
}
