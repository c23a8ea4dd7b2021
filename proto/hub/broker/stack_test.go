package broker_test

import (
	"fmt"
	"testing"
	"time"

	"mesh/proto/hub"
)

// Several connections of a node have one name: the newest one that takes the kind is asked,
// and the one below when it ends. Asked by id, a name may be left out.
func TestStack(t *testing.T) {
	t.Parallel()
	inbox := hub.Register{Name: "bob", Kinds: []hub.Kind{hub.KindPipe, hub.KindFiles}, Lasting: true}
	tty := hub.Register{Name: "bob", Kinds: []hub.Kind{hub.KindTTY}}
	recv := hub.Register{Name: "bob", Kinds: []hub.Kind{hub.KindPipe}}
	nameless := hub.Register{Kinds: []hub.Kind{hub.KindPipe}}
	other := hub.Register{Name: "second", Kinds: []hub.Kind{hub.KindPipe}}
	const none = -1
	for _, tt := range []struct {
		name  string
		conns []hub.Register
		then  func(w *world, c []*peer) // nil for nothing
		kind  hub.Kind
		byID  bool
		want  int // the index in conns of the one that is asked
	}{
		{"a terminal beside an inbox, for the terminal", []hub.Register{inbox, tty}, nil, hub.KindTTY, false, 1},
		{"a terminal beside an inbox, for files", []hub.Register{inbox, tty}, nil, hub.KindFiles, false, 0},
		{"an inbox beside a terminal, for the terminal", []hub.Register{tty, inbox}, nil, hub.KindTTY, false, 0},
		{"mesh-recv borrows the name", []hub.Register{inbox, recv}, nil, hub.KindPipe, false, 1},
		{"mesh-recv takes no files", []hub.Register{inbox, recv}, nil, hub.KindFiles, false, 0},
		{"mesh-recv has ended", []hub.Register{inbox, recv}, func(_ *world, c []*peer) { c[1].k.Left() }, hub.KindPipe, false, 0},
		{"mesh-recv is lost for good", []hub.Register{inbox, recv}, func(w *world, c []*peer) { c[1].k.Lost(); w.pass(hub.Grace + time.Second) }, hub.KindPipe, false, 0},
		{"mesh-recv gives the name back", []hub.Register{inbox, recv}, func(_ *world, c []*peer) { c[1].want(hub.TypeOK, hub.TypeRelease, &hub.Release{Name: "bob"}) }, hub.KindPipe, false, 0},
		{"the inbox gives the name back", []hub.Register{inbox, recv}, func(_ *world, c []*peer) { c[0].want(hub.TypeOK, hub.TypeRelease, &hub.Release{Name: "bob"}) }, hub.KindPipe, false, 1},
		{"the inbox has ended", []hub.Register{inbox, recv}, func(_ *world, c []*peer) { c[0].k.Left() }, hub.KindPipe, false, 1},
		{"the inbox has ended, for files", []hub.Register{inbox, recv}, func(_ *world, c []*peer) { c[0].k.Left() }, hub.KindFiles, false, none},
		{"a restarted inbox beside its half-open past", []hub.Register{inbox, inbox}, nil, hub.KindFiles, false, 1},
		{"its past is lost", []hub.Register{inbox, inbox}, func(w *world, c []*peer) { c[0].k.Lost(); w.pass(hub.Grace + time.Second) }, hub.KindFiles, false, 1},
		{"the older one registers again", []hub.Register{inbox, inbox}, func(_ *world, c []*peer) { c[0].want(hub.TypeRegistered, hub.TypeRegister, &inbox) }, hub.KindFiles, false, 0},
		{"any kind", []hub.Register{inbox, tty}, nil, hub.KindPing, false, 1},
		{"by id, the newest of any name", []hub.Register{inbox, other}, nil, hub.KindPipe, true, 1},
		{"by id, without a name", []hub.Register{inbox, nameless}, nil, hub.KindPipe, true, 1},
		{"by name, not the one without", []hub.Register{inbox, nameless}, nil, hub.KindPipe, false, 0},
		{"by name, not another name of the node", []hub.Register{inbox, other}, nil, hub.KindPipe, false, 0},
		{"by id, for a kind of an older one", []hub.Register{inbox, other}, nil, hub.KindFiles, true, 0},
		{"by id, any kind", []hub.Register{inbox, tty, other}, nil, hub.KindPing, true, 2},
		{"all have ended", []hub.Register{inbox, recv}, func(_ *world, c []*peer) { c[0].k.Left(); c[1].k.Left() }, hub.KindPipe, false, none},
		{"the same instance again is still the newest", []hub.Register{inbox, recv}, func(_ *world, c []*peer) { c[1].k.Lost(); c[1] = c[1].again() }, hub.KindPipe, false, 1},
		{"the same instance again, registered in its hello", []hub.Register{inbox, recv}, func(_ *world, c []*peer) { c[0] = c[0].again(inbox) }, hub.KindPipe, false, 0},
	} {
		w := newWorld(t)
		key, alice := w.member(), w.online(w.member())
		var conns []*peer
		for _, r := range tt.conns {
			conns = append(conns, w.online(key, r))
		}
		if tt.then != nil {
			tt.then(w, conns)
			alice.k.Ping()
		}
		r := alice.request("bob")
		if tt.byID {
			r.To = key.ID().String()
		}
		r.Kind = tt.kind
		r.Sign(alice.key, w.hub.ID())
		want := hub.TypeOK
		if tt.want == none {
			want = hub.CodeOffline
		}
		if got := outcome(alice.ask(hub.TypeRequest, r)); got != want {
			t.Errorf("%s: got %s, want %s", tt.name, got, want)
		}
		var asked []string
		for i, c := range conns {
			for _, typ := range types(c.events) {
				if typ == hub.TypeOffer {
					asked = append(asked, fmt.Sprint(i))
				}
			}
		}
		wanted := fmt.Sprint([]string{fmt.Sprint(tt.want)})
		if tt.want == none {
			wanted = "[]"
		}
		if fmt.Sprint(asked) != wanted {
			t.Errorf("%s: connections %v are asked, want %s", tt.name, asked, wanted)
		}
	}
}

// A session is the instance's that was asked: another connection with the name can neither
// answer it nor take it over.
func TestSessionOfInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, alice := w.member(), w.online(w.member())
	older := w.online(key, named("bob"))
	newer := w.online(key, named("bob"))
	r := alice.request("bob")
	alice.want(hub.TypeOK, hub.TypeRequest, r)
	older.want(hub.CodeGone, hub.TypeAccept, acceptOf(r.Session))
	older.want(hub.CodeNotFound, hub.TypeDecline, &hub.Decline{Session: r.Session, Code: hub.CodeBusy})
	newer.k.Lost()
	older.none(hub.TypeOffer)
	newer = newer.again()
	newer.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
	older.want(hub.CodeNotFound, hub.TypeCandidates, &hub.Candidates{Session: r.Session, Gen: 1, Sealed: []byte{1}})
	older.none(hub.TypeCreated)
	alice.take(hub.TypeCreated, new(hub.Created))
}

// The same instance again closes its older connection with 4009 and keeps names, rooms,
// watches and sessions, also while the older one is not known to be lost.
func TestReplacedKeeps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.online(w.member(), named("alice")), w.online(w.member(), named("bob"))
	carol := w.online(w.member())
	bob.enter("ops", true)
	bob.want(hub.TypeOK, hub.TypeWatch, &hub.Watch{Peer: "alice", Kind: hub.KindPipe})
	r := alice.request("bob")
	alice.want(hub.TypeOK, hub.TypeRequest, r)
	older := bob
	bob = older.again()
	if older.code != hub.CloseReplaced {
		t.Errorf("the older connection is closed with %d, want %d", older.code, hub.CloseReplaced)
	}
	older.k.Lost()
	older.k.Left()
	w.pass(hub.Grace + time.Second)
	bob.k.Ping()
	bob.want(hub.TypeOK, hub.TypeAccept, acceptOf(r.Session))
	alice.again(named("alice"))
	bob.take(hub.TypeOnline, new(hub.Online))
	carol.enter("ops", false)
	w.pass(time.Second)
	if got := bob.told(nil); len(got) != 1 {
		t.Errorf("the watcher of the room is told %q, want one change", got)
	}
	carol.want(hub.TypePeer, hub.TypeLookup, &hub.Lookup{Peer: "ops/bob"})
	if older.ask(hub.TypeRoomLeave, &hub.RoomLeave{Room: "ops"}).Type != "" {
		t.Error("the older connection is answered")
	}
}
