package node_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/hubtest"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

// member makes the node a member of one more hub.
func (n *testNode) member(t *testing.T, h *hubtest.Hub) {
	t.Helper()
	if err := h.AddMember(n.Key.ID()); err != nil {
		t.Fatal(err)
	}
}

// who returns what a node hears about a room or a peer: the names, or the error's code.
func who(t *testing.T, n *testNode, what string) string {
	t.Helper()
	got, err := n.Who(t.Context(), what)
	switch {
	case err != nil:
		return proto.CodeOf(err).String()
	case got.Peer != nil && !got.Peer.Online:
		return "offline"
	case got.Peer != nil:
		return got.Peer.Name
	}
	var names strings.Builder
	for _, p := range got.Room {
		names.WriteString(p.Name + " ")
	}
	return names.String()
}

// A listener that reloads leaves a hub, joins another one, and changes its name and rooms;
// its links go on. What is not valid changes nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	a, b := openHub(t), openHub(t)
	bob, alice, carol := atHub(t, a, ""), atHub(t, a, "hub"), atHub(t, b, "hub")
	bob.member(t, b)
	allow(t, bob, alice, proto.CapSend)
	allow(t, bob, carol, proto.CapSend)
	o := listening("bob")
	o.Rooms = []string{"ops", "Dev"}
	w := bob.online(t, o)
	bob.stderr.await(t, "is in room ops")
	bob.stderr.await(t, "is in room dev")
	l, err := alice.dialText(t, "ops/bob", send)
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := w.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	for _, bad := range []node.AtHubs{{As: "x"}, {Hubs: []hub.URL{a.URL()}, As: "mk1x"}, {Hubs: []hub.URL{a.URL()}, Rooms: []string{"a b"}}} {
		xtest.WantCode(t, "not valid", w.Reload(bad), proto.Usage)
	}
	if err := w.Reload(node.AtHubs{Hubs: []hub.URL{a.URL()}, As: "Robert", Rooms: []string{"dev", "new"}}); err != nil {
		t.Fatal(err)
	}
	bob.stderr.await(t, "is in room new")
	bob.stderr.await(t, "this is robert")
	for what, want := range map[string]string{"bob": "unreachable", "ops": "unreachable", "dev": "robert ", "new/robert": "robert"} {
		if got := who(t, alice, what); got != want {
			t.Errorf("%s at the first hub: got %q, want %q", what, got, want)
		}
	}

	if err := w.Reload(node.AtHubs{Hubs: []hub.URL{b.URL()}, As: "robert"}); err != nil {
		t.Fatal(err)
	}
	bob.stderr.await(t, "left hub "+a.URL().Name())
	_, err = alice.dialText(t, "robert", send)
	xtest.WantCode(t, "at the hub that bob has left", err, proto.Unreachable)
	second, err := carol.dialText(t, "robert", node.Request{Want: send.Want, Need: send.Need, Wait: proto.DialTimeout})
	if err != nil {
		t.Fatal(err)
	}
	other, err := w.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := who(t, carol, "dev"); got != "unreachable" {
		t.Errorf("dev at the second hub: got %q, want nobody", got)
	}
	closeBoth(second, other)
	closeBoth(l, accepted) // the link outlives the hub that introduced it
}

// The name of a machine is in lower case at a hub, and has no domain.
func TestNameOfHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"laptop": "laptop", "Bobs-MacBook.local": "bobs-macbook", "DESKTOP-7A": "desktop-7a", "web.example.com": "web",
		"localhost": "", "localhost.localdomain": "", "": "", "mk1abc": "", "7-guitar-crossover-lunar": "", "büro": "", "-x": "", ".x": "",
	} {
		if got := node.NameOfHost(host); got != want {
			t.Errorf("%q: got %q, want %q", host, got, want)
		}
	}
}

// A listener whose host name another node has says so once, also when the hub was away, and
// is found by its node id.
func TestHostNameTaken(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	if node.NameOfHost(hostname(t)) == "" {
		t.Skip("the name of this machine can be no name at a hub")
	}
	first, second, alice := atHub(t, h, ""), atHub(t, h, ""), atHub(t, h, "hub")
	allow(t, second, alice, proto.CapSend)
	first.online(t, listening(""))
	w := second.wait(t, listening(""))
	second.stderr.await(t, "others reach this node by its id")
	h.Stop()
	second.stderr.await(t, "waiting goes on without the hub")
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	second.stderr.await(t, "is back")
	l, err := alice.dialText(t, second.Key.ID().String(), node.Request{Want: send.Want, Need: send.Need, Wait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := w.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	closeBoth(l, accepted)
	if got := second.stderr.String(); strings.Count(got, "is taken by") > 1 {
		t.Errorf("got %q, want the warning once", got)
	}
}

func hostname(t *testing.T) string {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return host
}

// A name that another node has is told once a listener runs, which is found by its node id
// then; so is one that another node has taken while the hub was away.
func TestReloadTaken(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob, alice, mallory := atHub(t, h, ""), atHub(t, h, "hub"), atHub(t, h, "")
	allow(t, bob, alice, proto.CapSend)
	mallory.online(t, listening("mallory"))
	w := bob.online(t, listening("bob"))
	if err := w.Reload(node.AtHubs{Hubs: []hub.URL{h.URL()}, As: "mallory"}); err != nil {
		t.Fatal(err)
	}
	bob.stderr.await(t, "the name mallory is taken by ")
	bob.stderr.await(t, "others reach this node by its id")
	l, err := alice.dialText(t, bob.Key.ID().String(), send)
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := w.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	closeBoth(l, accepted)
}
