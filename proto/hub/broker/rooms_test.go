package broker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

// enter joins a room, and returns what the hub says of it.
func (p *peer) enter(room string, watch bool) hub.RoomPeers {
	p.w.t.Helper()
	return p.roomPeers(hub.TypeRoomJoin, &hub.RoomJoin{Room: room, Watch: watch})
}

// list asks for all pages of a room.
func (p *peer) list(room string) (all []hub.RoomPeer) {
	p.w.t.Helper()
	var after identity.ID
	for {
		page := p.roomPeers(hub.TypeRoomPeers, &hub.RoomList{Room: room, After: after})
		all = append(all, page.Peers...)
		if page.Next == (identity.ID{}) {
			return all
		}
		after = page.Next
	}
}

func (p *peer) roomPeers(typ string, ask hub.Data) hub.RoomPeers {
	p.w.t.Helper()
	answer := p.ask(typ, ask)
	var got hub.RoomPeers
	if answer.Type != hub.TypeRoomPeers {
		p.w.t.Fatalf("%s: got %q, want %s", typ, outcome(answer), hub.TypeRoomPeers)
	}
	p.w.ok("read", answer.Read(&got))
	return got
}

// told removes the changes of rooms that came, and returns them as "joined ops bob 1" or
// "left ops bob 2 lost".
func (p *peer) told(names map[identity.ID]string) (list []string) {
	p.w.t.Helper()
	p.events = slices.DeleteFunc(p.events, func(e hub.Event) bool {
		var c hub.RoomChange
		if e.Type != hub.TypeRoomJoined && e.Type != hub.TypeRoomLeft {
			return false
		}
		p.w.ok("read", e.Read(&c))
		text := fmt.Sprintf("%s %s %s %d", e.Type[len("room."):], c.Room, names[c.Peer.Node], c.Rev)
		if c.Reason != "" {
			text += " " + c.Reason
		}
		list = append(list, text)
		return true
	})
	return list
}

func wantList(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// Watchers hear of each change once, with a rev that is 1 above the one before, and why a
// node is gone; nobody else hears of it. A room ends with its last member.
func TestRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob, carol := w.online(w.member(), named("alice")), w.online(w.member(), named("bob", hub.KindFiles)), w.online(w.member())
	names := map[identity.ID]string{alice.key.ID(): "alice", bob.key.ID(): "bob", carol.key.ID(): "carol"}
	carol.want(hub.CodeNotFound, hub.TypeRoomPeers, &hub.RoomList{Room: "ops"})
	if got := alice.enter("ops", true); got.Rev != 0 || len(got.Peers) != 1 || got.Peers[0].Name != "alice" {
		t.Errorf("the first in the room: got %+v, want alice alone", got)
	}
	w.pass(time.Second)
	bob.enter("ops", false)
	w.pass(broker.GatherFor - 1)
	wantList(t, "before the time to gather is over", alice.told(names), nil)
	w.pass(broker.SweepEvery)
	wantList(t, "bob joins", alice.told(names), []string{"joined ops bob 1"})
	wantList(t, "bob watches nothing", bob.told(names), nil)

	got := carol.list("ops")
	at := slices.IndexFunc(got, func(p hub.RoomPeer) bool { return p.Name == "bob" })
	if len(got) != 2 || at < 0 || got[at].Node != bob.key.ID() || !slices.Equal(got[at].Kinds, []hub.Kind{hub.KindFiles, hub.KindPipe}) || got[at].SinceS != 1 {
		t.Errorf("room.peers: got %+v, want alice and bob, who takes files and pipes, for 1 s", got)
	}

	bob.want(hub.TypeOK, hub.TypeRoomLeave, &hub.RoomLeave{Room: "ops"})
	bob.want(hub.TypeOK, hub.TypeRoomLeave, &hub.RoomLeave{Room: "ops"})
	w.pass(time.Second)
	wantList(t, "bob leaves", alice.told(names), []string{"left ops bob 2 leave"})
	bob.enter("ops", false)
	bob.want(hub.TypeOK, hub.TypeRoomLeave, &hub.RoomLeave{Room: "ops"})
	bob.enter("ops", false)
	w.pass(time.Second)
	wantList(t, "bob joins, leaves and joins at once", alice.told(names), []string{"joined ops bob 3"})
	bob.want(hub.TypeRegistered, hub.TypeRegister, &hub.Register{Name: "robert", Kinds: []hub.Kind{hub.KindTTY}})
	w.pass(time.Second)
	wantList(t, "bob takes another kind", alice.told(names), []string{"joined ops bob 4"})

	bob.k.Lost()
	w.pass(time.Second)
	wantList(t, "in the grace", alice.told(names), nil)
	bob = bob.again()
	w.pass(hub.Grace + time.Second)
	wantList(t, "bob is back", alice.told(names), nil)
	bob.k.Lost()
	w.pass(hub.Grace + time.Second)
	wantList(t, "bob is lost", alice.told(names), []string{"left ops bob 5 lost"})
	carol.enter("ops", false)
	w.ok("remove", w.b.RemoveMember("admin", carol.key.ID()))
	w.pass(2 * time.Second)
	wantList(t, "carol is removed", alice.told(names), []string{"left ops carol 6 removed"})

	bob = w.online(bob.key)
	if got := bob.enter("ops", true); got.Rev != 6 || len(got.Peers) != 2 {
		t.Errorf("bob joins again: got %+v, want rev 6 and two nodes", got)
	}
	w.pass(time.Second)
	wantList(t, "bob joins again", bob.told(names), []string{"joined ops bob 7"})
	alice.k.Left()
	w.pass(time.Second)
	wantList(t, "alice logs out", bob.told(names), []string{"left ops alice 8 leave"})
	bob.want(hub.TypeOK, hub.TypeRoomLeave, &hub.RoomLeave{Room: "ops"})
	bob.want(hub.CodeNotFound, hub.TypeRoomPeers, &hub.RoomList{Room: "ops"})
	if got := bob.enter("ops", false); got.Rev != 0 {
		t.Errorf("a new room begins at rev %d, want 0", got.Rev)
	}
	for _, bad := range []string{"", "Ops", "a/b", "-x", "é"} {
		bob.want(hub.CodeBadName, hub.TypeRoomJoin, &hub.RoomJoin{Room: bad})
	}
}

// A node is in a room while one of its connections is; a restart of the hub empties it.
func TestRoomOfSeveralConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, key := w.online(w.member()), w.member()
	first, second := w.online(key, named("bob")), w.online(key, hub.Register{Name: "bob", Kinds: []hub.Kind{hub.KindTTY}})
	names := map[identity.ID]string{alice.key.ID(): "alice", key.ID(): "bob"}
	alice.enter("ops", true)
	first.enter("ops", false)
	second.enter("ops", false)
	if got := alice.list("ops"); len(got) != 2 {
		t.Errorf("got %+v, want two nodes", got)
	}
	w.pass(time.Second)
	alice.told(names)
	first.k.Left()
	w.pass(time.Second)
	wantList(t, "one of two connections ends", alice.told(names), []string{"joined ops bob 2"})
	third := w.online(key, lasting("laptop"))
	third.enter("ops", false)
	at := slices.IndexFunc(alice.list("ops"), func(p hub.RoomPeer) bool { return p.Name == "laptop" })
	if at < 0 {
		t.Errorf("got %+v, want the node by its lasting name", alice.list("ops"))
	}
	second.k.Left()
	w.pass(time.Second)
	wantList(t, "another one comes, and one ends", alice.told(names), []string{"joined ops bob 3"})
	third.k.Left()
	w.pass(time.Second)
	wantList(t, "the last one ends", alice.told(names), []string{"left ops bob 4 leave"})
	w.restart()
	alice = alice.again()
	alice.want(hub.CodeNotFound, hub.TypeRoomPeers, &hub.RoomList{Room: "ops"})
}

// Each limit holds at n, and refuses n + 1 without joining.
func TestRoomLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.online(w.member())
	for i := range hub.MaxRooms {
		alice.enter(fmt.Sprintf("room%d", i), true)
	}
	alice.want(hub.CodeLimit, hub.TypeRoomJoin, &hub.RoomJoin{Room: "more"})
	alice.want(hub.CodeNotFound, hub.TypeRoomPeers, &hub.RoomList{Room: "more"})
	alice.enter("room0", false)
	w.pass(time.Second)
	alice.want(hub.TypeOK, hub.TypeRoomLeave, &hub.RoomLeave{Room: "room0"})
	alice.enter("more", false)

	var last *peer
	for range broker.MaxRoomMembers {
		last = w.online(w.member())
		last.enter("big", false)
	}
	one := w.online(w.member())
	one.want(hub.CodeLimit, hub.TypeRoomJoin, &hub.RoomJoin{Room: "big"})
	w.online(last.key).enter("big", false) // the node is in the room
	got := one.list("big")
	ids := make(map[identity.ID]bool)
	for _, p := range got {
		ids[p.Node] = true
	}
	if len(got) != broker.MaxRoomMembers || len(ids) != len(got) {
		t.Errorf("the pages have %d nodes, %d of them different; want %d", len(got), len(ids), broker.MaxRoomMembers)
	}
	if page := last.enter("big", false); len(page.Peers) != hub.MaxRoomPage || page.Next == (identity.ID{}) {
		t.Errorf("the first page has %d nodes and next %v, want %d and more", len(page.Peers), page.Next, hub.MaxRoomPage)
	}
}

func TestRoomWatchers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all []*peer
	for range broker.MaxRoomWatchers {
		all = append(all, w.online(w.member()))
		all[len(all)-1].enter("ops", true)
	}
	more := w.online(w.member())
	more.want(hub.CodeLimit, hub.TypeRoomJoin, &hub.RoomJoin{Room: "ops", Watch: true})
	if got := more.list("ops"); len(got) != broker.MaxRoomWatchers {
		t.Errorf("%d members, want %d: the watcher that was refused is in the room", len(got), broker.MaxRoomWatchers)
	}
	all[3].enter("ops", true)
	all[0].enter("ops", false)
	more.enter("ops", true)
}

// A watcher is told up to 32 changes at a time. Of more, it is told the last one alone,
// whose rev has a gap; so it is in many rooms at once, and no change stays untold.
func TestRoomGap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.online(w.member())
	alice.enter("ops", true)
	w.pass(time.Second)
	alice.told(nil)
	join := func(n int) (all []*peer) {
		for range n {
			all = append(all, w.online(w.member()))
			all[len(all)-1].enter("ops", false)
		}
		w.pass(broker.GatherFor + broker.SweepEvery)
		return all
	}
	join(broker.MaxTold)
	if got := alice.told(nil); len(got) != broker.MaxTold || got[0] != "joined ops  1" || got[31] != "joined ops  32" {
		t.Errorf("got %d changes, %q, want %d with revs from 1 to 32", len(got), got, broker.MaxTold)
	}
	join(broker.MaxTold + 1)
	wantList(t, "33 changes at once", alice.told(nil), []string{"joined ops  65"})
	join(1)
	wantList(t, "one more", alice.told(nil), []string{"joined ops  66"})

	// Two nodes come to each of 32 rooms at once: 64 changes for one connection.
	for i := 1; i < hub.MaxRooms; i++ {
		alice.enter(fmt.Sprintf("room%d", i), true)
	}
	w.pass(time.Second)
	alice.told(nil)
	for range 2 {
		p := w.online(w.member())
		p.enter("ops", false)
		for i := 1; i < hub.MaxRooms; i++ {
			p.enter(fmt.Sprintf("room%d", i), false)
		}
	}
	last := make(map[string]bool)
	for range 4 {
		w.pass(broker.SweepEvery)
		got := alice.told(nil)
		if len(got) > broker.MaxTold {
			t.Errorf("%d changes at a time, want at most %d", len(got), broker.MaxTold)
		}
		for _, text := range got {
			var room string
			var rev int
			if _, err := fmt.Sscanf(text, "joined %s %d", &room, &rev); err != nil {
				t.Fatal(err)
			}
			last[room] = rev == 2 && room != "ops" || rev == 68
		}
	}
	for i := 1; i < hub.MaxRooms; i++ {
		if room := fmt.Sprintf("room%d", i); !last[room] {
			t.Errorf("%s: its last change was not told", room)
		}
	}
	if !last["ops"] {
		t.Error("ops: its last change was not told")
	}
}

// room/name stands for a member of the room with that name, and for nobody else.
func TestRoomName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.online(w.member()), w.online(w.member(), named("bob"))
	w.online(w.member(), named("carol"))
	bob.enter("ops", false)
	for peer, want := range map[string]string{
		"ops/bob": hub.TypePeer, "bob": hub.TypePeer, "ops/carol": hub.CodeNotFound, "dev/bob": hub.CodeNotFound,
		"/bob": hub.CodeNotFound, "ops/": hub.CodeNotFound, "ops/ops/bob": hub.CodeNotFound, "ops/" + bob.key.ID().String(): hub.CodeNotFound,
	} {
		if got := outcome(alice.ask(hub.TypeLookup, &hub.Lookup{Peer: peer})); got != want {
			t.Errorf("%s: got %s, want %s", peer, got, want)
		}
	}
	r := alice.request("ops/bob")
	alice.want(hub.TypeOK, hub.TypeRequest, r)
	bob.take(hub.TypeOffer, new(hub.Offer))
	bob.want(hub.TypeOK, hub.TypeRoomLeave, &hub.RoomLeave{Room: "ops"})
	alice.want(hub.CodeNotFound, hub.TypeRequest, alice.request("ops/bob"))
	alice.want(hub.CodeNotFound, hub.TypeWatch, &hub.Watch{Peer: "ops/bob", Kind: hub.KindPipe})
}

// With RoomsOnly, a node is there for those that share a room with it, and for its own
// connections.
func TestRoomsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.roomsOnly = true
	w.restart()
	alice, bob, carol := w.online(w.member(), named("alice")), w.online(w.member(), named("bob")), w.online(w.member())
	other := w.online(alice.key) // of the same machine
	bob.enter("ops", false)
	hidden := func(p *peer, want string) {
		t.Helper()
		for _, who := range []string{"bob", "ops/bob", bob.key.ID().String()} {
			found := map[string]string{hub.TypeLookup: hub.TypePeer, hub.TypeWatch: hub.TypeOK, hub.TypeRequest: hub.TypeOK}
			for typ, data := range map[string]hub.Data{hub.TypeLookup: &hub.Lookup{Peer: who}, hub.TypeWatch: &hub.Watch{Peer: who, Kind: hub.KindPipe}, hub.TypeRequest: p.request(who)} {
				expected := want
				if want == "" {
					expected = found[typ]
				}
				p.want(expected, typ, data)
			}
		}
		if want != "" {
			p.want(want, hub.TypeRoomPeers, &hub.RoomList{Room: "ops"})
		}
	}
	hidden(alice, hub.CodeNotFound)
	alice.enter("ops", false)
	hidden(alice, "")
	hidden(other, "")
	alice.list("ops")
	bob.enter("dev", false)
	alice.want(hub.CodeNotFound, hub.TypeLookup, &hub.Lookup{Peer: "dev/bob"})
	alice.want(hub.CodeNotFound, hub.TypeRoomPeers, &hub.RoomList{Room: "dev"})
	hidden(carol, hub.CodeNotFound)
	carol.want(hub.TypePeer, hub.TypeLookup, &hub.Lookup{Peer: carol.key.ID().String()})

	alice.events = nil
	bob = bob.again(named("bob"))
	alice.take(hub.TypeOnline, new(hub.Online))
	alice.want(hub.TypeOK, hub.TypeRoomLeave, &hub.RoomLeave{Room: "ops"})
	alice.events = nil
	bob.again(named("bob"))
	alice.none(hub.TypeOnline)
}

// A page is one event, also where the nodes show as many vouchers as they may.
func TestRoomVouchers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	issuer, alice := xtest.NewKey(t), w.online(w.member())
	alice.enter("ops", false)
	const nodes = 40
	for range nodes {
		key := w.member()
		var texts []string
		for range hub.MaxVouchers {
			text, _ := w.voucher(issuer, hub.Voucher{Kind: hub.VoucherRoom, Subject: key.ID(), Text: strings.Repeat("r", hub.MaxNameBytes)})
			texts = append(texts, text)
		}
		p, err := w.login(key, hub.NewID(), showing(texts...))
		w.ok("log in", err)
		p.enter("ops", false)
	}
	vouchers, pages := 0, 0
	var after identity.ID
	seen := make(map[identity.ID]bool)
	for more := true; more; pages++ {
		answer := alice.ask(hub.TypeRoomPeers, &hub.RoomList{Room: "ops", After: after})
		if text, err := answer.Encode(); err != nil || len(text) > hub.MaxEventBytes {
			t.Fatalf("a page of %d bytes: %v", len(text), err)
		}
		var page hub.RoomPeers
		w.ok("read", answer.Read(&page))
		for _, p := range page.Peers {
			seen[p.Node] = true
			vouchers += len(p.Vouchers)
		}
		after, more = page.Next, page.Next != (identity.ID{})
	}
	if len(seen) != nodes+1 || vouchers != nodes*hub.MaxVouchers || pages < 2 {
		t.Errorf("%d nodes with %d vouchers on %d pages, want %d with %d on several", len(seen), vouchers, pages, nodes+1, nodes*hub.MaxVouchers)
	}
}

// A hostile member's flood of joins ends as any flood does.
func TestRoomFlood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.online(w.member())
	for i := 0; p.code == 0 && i < 1000; i++ {
		p.ask(hub.TypeRoomJoin, &hub.RoomJoin{Room: fmt.Sprintf("r%d", i%40), Watch: true})
	}
	if p.code != hub.CloseTooSlow {
		t.Errorf("closed with %d, want %d", p.code, hub.CloseTooSlow)
	}
	q := w.online(w.member())
	q.enter("ops", false)
	for range 30 - 1 {
		q.want(hub.TypeRoomPeers, hub.TypeRoomPeers, &hub.RoomList{Room: "ops"})
	}
	q.want(hub.TypeRoomPeers, hub.TypeRoomPeers, &hub.RoomList{Room: "ops"})
	q.want(hub.CodeRateLimited, hub.TypeRoomPeers, &hub.RoomList{Room: "ops"})
}
