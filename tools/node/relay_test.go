package node_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/hubtest"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/path"
	"mesh/proto/relay"
	"mesh/tools/node"
)

// testRelay is a relay at one address of loopback, which can end and begin again.
type testRelay struct {
	hub   identity.ID
	addr  string
	ahead atomic.Int64 // what its clock and its hub's are ahead of that of the nodes, in ns

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
	joins    atomic.Int32
}

func newRelay(t *testing.T, hub identity.ID) *testRelay {
	t.Helper()
	r := &testRelay{hub: hub, addr: loopback}
	r.start(t)
	t.Cleanup(r.stop)
	return r
}

func (r *testRelay) now() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) }

func (r *testRelay) start(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listener, r.addr = l, l.Addr().String()
	s := relay.NewServer(relay.Options{Hub: r.hub, Name: r.addr, Now: r.now})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.joins.Add(1)
			r.mu.Lock()
			r.conns = append(r.conns, c)
			r.mu.Unlock()
			go s.ServePlain(c)
		}
	}()
}

// stop ends the relay as kill -9 does: its host resets the connections.
func (r *testRelay) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.listener.Close()
	for _, c := range r.conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
	r.conns = nil
}

// relayHub is a hub of which every node is a member, and which offers a relay.
type relayHub struct {
	*hubtest.Liar
	relay atomic.Pointer[testRelay]
}

func openRelayHub(t *testing.T) *relayHub {
	t.Helper()
	h := new(relayHub)
	l, err := hubtest.OpenLiar(func(to identity.ID, e hub.Event) []hub.Event { return h.alter(t, to, e) })
	if err != nil {
		t.Fatal(err)
	}
	h.Liar = l
	t.Cleanup(l.Stop)
	h.relay.Store(newRelay(t, l.Key.ID()))
	return h
}

func (h *relayHub) alter(t *testing.T, to identity.ID, e hub.Event) []hub.Event {
	var data hub.Data
	var c hub.Created
	var o hub.Offer
	switch {
	case e.Type == hub.TypeCreated && e.Read(&c) == nil:
		c.Relay = h.permit(t, relay.Role(c.Role), c.Session, to, c.Peer)
		data = &c
	case e.Type == hub.TypeOffer && e.Read(&o) == nil:
		o.Relay = h.permit(t, relay.RoleListener, o.Request.Session, to, e.From)
		data = &o
	default:
		return []hub.Event{e}
	}
	altered, err := hub.New(e.Type, data)
	if err != nil {
		t.Error(err)
	}
	altered.From, altered.Name = e.From, e.Name
	return []hub.Event{altered}
}

func (h *relayHub) permit(t *testing.T, role relay.Role, session hub.ID, of, peer identity.ID) []hub.Relay {
	r := h.relay.Load()
	p := relay.Permit{Kind: relay.KindLink, Session: session, Node: of, Peer: peer, Role: role, Relay: r.addr, Expires: r.now().Add(relay.PermitLife).Truncate(time.Second)}
	text, err := p.Sign(h.Key)
	if err != nil {
		t.Error(err)
	}
	return []hub.Relay{{URL: "tcp://" + r.addr, Permit: text}}
}

// relayed returns a link of two nodes through the relay of a hub, both ends.
func relayed(t *testing.T, h *relayHub, once bool) (bob, alice *testNode, accepted, dialed *link.Link) {
	t.Helper()
	bob, alice = newNode(t, both(at("", h.URL()), via(t, "relay"))), newNode(t, both(at("hub", h.URL()), via(t, "relay")))
	allow(t, bob, alice, proto.CapSend)
	o := listening("bob")
	o.Once = once
	links := accept(t, bob.online(t, o))
	dialed, err := alice.dialText(t, "bob", send)
	if err != nil {
		t.Fatal(err)
	}
	return bob, alice, <-links, dialed
}

// Two nodes without any socket of their own link through the relay.
func TestRelayedLink(t *testing.T) {
	t.Parallel()
	h := openRelayHub(t)
	bob, alice, accepted, dialed := relayed(t, h, false)
	want := "relay tcp " + h.relay.Load().addr
	for what, p := range map[string]node.Party{"listener": bob.Party(accepted), "dialer": alice.Party(dialed)} {
		if p.Path != want || p.Via != proto.ViaTCP {
			t.Errorf("%s: got %s over %s, want %s over tcp", what, p.Path, p.Via, want)
		}
	}
	if got := dialed.Path().Kind; got != path.Relay {
		t.Errorf("got the kind %q, want %q", got, path.Relay)
	}
	closeBoth(dialed, accepted)
}

// resume makes the transfer of a link go on at both ends.
func resume(t *testing.T, accepted, dialed *link.Link) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	next := make(chan *link.Link, 1)
	go func() {
		l, err := accepted.Resume(ctx)
		if err != nil {
			t.Errorf("listener: %v", err)
		}
		next <- l
	}()
	l, err := dialed.Resume(ctx)
	if err != nil {
		t.Fatalf("dialer: %v", err)
	}
	if other := <-next; other != nil {
		closeBoth(l, other)
	}
}

// A relay that ends and is back is joined again, without a word to the hub, which is away
// itself.
func TestRelayRestart(t *testing.T) {
	t.Parallel()
	h := openRelayHub(t)
	_, _, accepted, dialed := relayed(t, h, true)
	h.Stop()
	r := h.relay.Load()
	r.stop()
	_, err := dialed.Read(make([]byte, 1))
	if err == nil {
		t.Fatal("the link is whole without the relay")
	}
	r.start(t)
	resume(t, accepted, dialed)
}

// A relay that ends when the permits of a long transfer have expired knows the ends no more,
// and lets them in with no old permit: the hub gives the transfer new ones.
func TestRelayRestartAfterPermits(t *testing.T) {
	t.Parallel()
	for _, once := range []bool{false, true} {
		h := openRelayHub(t)
		_, _, accepted, dialed := relayed(t, h, once)
		r := h.relay.Load()
		joins := r.joins.Load()
		r.ahead.Store(int64(relay.PermitLife + relay.DateSlack + time.Minute))
		r.stop()
		if _, err := dialed.Read(make([]byte, 1)); err == nil {
			t.Fatal("the link is whole without the relay")
		}
		r.start(t)
		resume(t, accepted, dialed)
		if got := r.joins.Load(); got < joins+4 {
			t.Errorf("once %v: the ends came to the relay %d times, want each with its old permit and then with a new one", once, got-joins)
		}
	}
}

// When a relay is gone for good, the dialer gets another one for the same transfer from the
// hub, also if the listener had given its name at the hub back.
func TestRelayGone(t *testing.T) {
	t.Parallel()
	for _, once := range []bool{false, true} {
		h := openRelayHub(t)
		_, alice, accepted, dialed := relayed(t, h, once)
		_, report := alice.Outages(dialed)
		gone := h.relay.Load()
		h.relay.Store(newRelay(t, h.Key.ID()))
		gone.stop()
		report(true)
		resume(t, accepted, dialed)
		report(false)
		from, to := "relay tcp "+gone.addr, "relay tcp "+h.relay.Load().addr
		if got := alice.events.events(t, "path"); len(got) != 1 || got[0]["from"] != from || got[0]["to"] != to || got[0]["why"] != "lost" {
			t.Errorf("once %v: got the events %v, want one from %s to %s", once, got, from, to)
		}
		if h.relay.Load().joins.Load() < 2 {
			t.Errorf("once %v: the transfer goes on, but not over the new relay", once)
		}
	}
}

// The listener gives its place up when the transfer is over, and waits no longer for a
// dialer that has not come.
func TestPlacesEnd(t *testing.T) {
	t.Parallel()
	h := openRelayHub(t)
	bob, alice := newNode(t, both(at("", h.URL()), via(t, "relay"))), newNode(t, both(at("hub", h.URL()), via(t, "relay")))
	allow(t, bob, alice, proto.CapSend)
	w := bob.online(t, listening("bob"))
	links := accept(t, w)
	dialed, err := alice.dialText(t, "bob", send)
	if err != nil {
		t.Fatal(err)
	}
	accepted := <-links
	if got := w.Places(); got != 1 {
		t.Errorf("got %d places during the transfer, want 1", got)
	}
	closeBoth(dialed, accepted)
	limit := time.After(10 * time.Second)
	for w.Places() > 0 {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-limit:
			t.Fatal("the listener still waits at the relay, 10 s after the transfer")
		}
	}
}

// A hub sends a node to no address at which no relay may be, but to its own.
func TestRelayAddrs(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	here := l.Addr().String()
	far, near := hub.URL{TLS: true, Host: "hub.example:443"}, hub.URL{TLS: true, Host: "127.0.0.1:1"}
	own := hub.URL{TLS: true, Host: here}
	for _, tt := range []struct {
		what  string
		at    hub.URL
		door  string
		dials string
		ok    bool
	}{
		{"loopback, of a hub elsewhere", far, "tcp://" + here, here, false},
		{"loopback over wss, of a hub elsewhere", far, "wss://" + here + "/relay/v1", here, false},
		{"loopback, of a hub on loopback", near, "tcp://" + here, here, true},
		{"the hub's own address", own, "tcp://" + here, here, true},
		{"a proxy of the user", far, "wss://relay.example/relay/v1", here, true},
	} {
		c, err := node.DialDoor(t.Context(), tt.at, tt.door, tt.dials)
		if ok := err == nil; ok != tt.ok {
			t.Errorf("%s: got %v, want a connection: %v", tt.what, err, tt.ok)
		}
		if err == nil {
			c.Close()
		}
	}
}
