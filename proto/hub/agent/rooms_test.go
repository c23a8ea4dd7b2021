package agent_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

// inRooms runs an agent with a name and rooms. It tells the outcome for each room.
func inRooms(t *testing.T, u hub.URL, key *identity.Key, name string, rooms ...string) (a *agent.Agent, joined <-chan string, stop func()) {
	t.Helper()
	told := make(chan string, 64)
	a, stop = start(t, u, key, func(a *agent.Agent) {
		a.Registers, a.Rooms = []hub.Register{{Name: name, Kinds: []hub.Kind{hub.KindPipe}}}, rooms
		a.OnJoined = func(room string, err error) { told <- strings.TrimSuffix(room+" "+agent.CodeOf(err), " ") }
	})
	return a, told, stop
}

func wantNext(t *testing.T, got <-chan string, want string) {
	t.Helper()
	if text := <-got; text != want {
		t.Fatalf("got %q, want %q", text, want)
	}
}

// watch watches a room until the test ends, and tells the names in it, with commas.
func watch(t *testing.T, a *agent.Agent, room string) <-chan string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	names, done := make(chan string, 1024), make(chan error, 1)
	go func() {
		done <- a.WatchRoom(ctx, room, func(peers []hub.RoomPeer) { names <- namesIn(peers) })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the watch ended with %v", err)
		}
	})
	return names
}

func namesIn(peers []hub.RoomPeer) string {
	var names []string
	for _, p := range peers {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// until reads what a watcher is told, up to what is wanted.
func until(got <-chan string, want string) {
	for text := range got {
		if text == want {
			return
		}
	}
}

// An agent joins its rooms after each login, also at a hub that knows nothing of them any
// more; a watcher hears who comes, goes, and is back.
func TestRooms(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	carol := member(t, h)
	_, alice, _ := inRooms(t, h.URL(), member(t, h), "alice", "ops", "No")
	wantNext(t, alice, "ops")
	wantNext(t, alice, "No "+hub.CodeBadName)
	watcher, _ := start(t, h.URL(), carol, nil)
	names := watch(t, watcher, "ops")
	until(names, ",alice")
	bob, joined, stop := inRooms(t, h.URL(), member(t, h), "bob", "ops", "dev")
	wantNext(t, joined, "ops")
	wantNext(t, joined, "dev")
	until(names, ",alice,bob")

	h.Stop()
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	until(names, ",alice,bob")
	wantNext(t, joined, "ops")
	wantNext(t, joined, "dev")

	bob.Update(t.Context(), []hub.Register{{Name: "robert", Kinds: []hub.Kind{hub.KindPipe}}}, []string{"dev", "new"}, false)
	wantNext(t, joined, "new")
	until(names, ",alice")
	for room, want := range map[string]string{"ops": ",alice", "dev": "robert", "new": "robert"} {
		list, err := watcher.ListRoom(t.Context(), room)
		if got := namesIn(list); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", room, got, err, want)
		}
	}
	if _, err := watcher.Lookup(t.Context(), "bob"); agent.CodeOf(err) != hub.CodeNotFound {
		t.Errorf("bob: got %v, want that the name is released", err)
	}
	dev := watch(t, watcher, "dev")
	until(dev, ",robert")
	stop()
	until(dev, "")
	if _, err := watcher.ListRoom(t.Context(), "new"); agent.CodeOf(err) != hub.CodeNotFound {
		t.Errorf("the room of an agent that has ended: got %v, want %s", err, hub.CodeNotFound)
	}
}

// What an agent gives up while it is not connected it gives up at the next login: the hub
// keeps names and rooms for a while.
func TestUpdateWhileAway(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	key, state := member(t, h), make(chan error, 64)
	var bob *agent.Agent
	bob, _ = start(t, h.URL(), key, func(a *agent.Agent) {
		a.Registers, a.Rooms = []hub.Register{{Name: "bob", Kinds: []hub.Kind{hub.KindPipe}, Lasting: true}}, []string{"ops"}
		a.OnState = func(err error) {
			if err != nil { // in the goroutine that will log in again
				a.Update(t.Context(), []hub.Register{{Name: "robert", Kinds: []hub.Kind{hub.KindPipe}, Lasting: true}}, []string{"dev"}, false)
			}
			state <- err
		}
	})
	if err := <-state; err != nil {
		t.Fatal(err)
	}
	h.Stop()
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	for err := range state {
		if err == nil {
			break
		}
	}
	if _, err := bob.Lookup(t.Context(), "bob"); agent.CodeOf(err) != hub.CodeNotFound {
		t.Errorf("bob: got %v, want that the name is released", err)
	}
	if list, err := bob.ListRoom(t.Context(), "dev"); err != nil || namesIn(list) != "robert" {
		t.Errorf("dev: got %v, %v; want robert", list, err)
	}
	if _, err := bob.ListRoom(t.Context(), "ops"); agent.CodeOf(err) != hub.CodeNotFound {
		t.Errorf("ops: got %v, want that nobody is there", err)
	}
}

// A watcher that misses a change asks for the list again.
func TestRoomGap(t *testing.T) {
	t.Parallel()
	lists := make(chan bool, 64)
	l := openLiar(t, func(_ identity.ID, e hub.Event) []hub.Event {
		var c hub.RoomChange
		switch {
		case e.Type == hub.TypeRoomPeers:
			lists <- true
		case e.Type == hub.TypeRoomJoined && e.Read(&c) == nil && c.Peer.Name == "bob":
			return nil
		}
		return []hub.Event{e}
	})
	watcher, _ := start(t, l.URL(), xtest.NewKey(t), nil)
	names := watch(t, watcher, "ops")
	until(names, "")
	_, bob, _ := inRooms(t, l.URL(), xtest.NewKey(t), "bob", "ops")
	wantNext(t, bob, "ops")
	_, carol, _ := inRooms(t, l.URL(), xtest.NewKey(t), "carol", "ops")
	wantNext(t, carol, "ops")
	until(names, ",bob,carol")
	for range 4 { // of three joins and one question
		<-lists
	}
}

// A hub that lists a room without end is not believed.
func TestEndlessRoom(t *testing.T) {
	t.Parallel()
	l := openLiar(t, edit(hub.TypeRoomPeers, func(_ *hub.Event, p *hub.RoomPeers) { p.Next = identity.ID{1} }))
	a, _ := start(t, l.URL(), xtest.NewKey(t), nil)
	err := a.WatchRoom(t.Context(), "ops", func([]hub.RoomPeer) { t.Error("the watcher is told") })
	t.Log(err)
	if err == nil {
		t.Error("got no error")
	}
}
