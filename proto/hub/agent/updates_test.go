package agent_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/hub/hubtest"
	"mesh/proto/identity"
	"mesh/proto/nat"
)

// list is a list of one candidate, which names the port.
func list(port int) hub.Meeting {
	return hub.Meeting{NAT: "eim", Candidates: []hub.Candidate{{Type: candidate.ServerReflexive, Proto: candidate.UDP, Addr: fmt.Sprintf("192.0.2.1:%d", port), Priority: 1}}}
}

// wantList waits for the list with the port, and fails for each one that is not in older.
func wantList(t *testing.T, what string, u *agent.Updates, port int, older ...int) agent.Update {
	t.Helper()
	for {
		select {
		case got, ok := <-u.Heard():
			if !ok {
				t.Fatalf("%s: the updates have ended, want the list with port %d", what, port)
			}
			if len(got.Candidates) != 1 || got.NAT != "eim" {
				t.Fatalf("%s: got %v, want one candidate", what, got)
			}
			_, text, _ := strings.Cut(got.Candidates[0].Addr, ":")
			if text == fmt.Sprint(port) {
				return got
			}
			if !strings.Contains(fmt.Sprint(older)+" ", text) {
				t.Fatalf("%s: got %v, want port %d", what, got, port)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s: no list, want the one with port %d", what, port)
		}
	}
}

// broken are the connections of a node, which a test can break.
type broken struct {
	mu    sync.Mutex
	conns []net.Conn
}

func (b *broken) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		b.mu.Lock()
		b.conns = append(b.conns, c)
		b.mu.Unlock()
	}
	return c, err
}

func (b *broken) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.conns {
		_ = c.Close()
	}
	b.conns = nil
}

// two are the ends of a session of which both exchange candidates.
type two struct {
	dialer, listener *agent.Updates
	session          agent.Session
	alice            *agent.Agent
	cut              func() // breaks the listener's connection to the hub
	keys             *hub.Keys
}

// meet makes a session at a hub. Bob tells a list before his answer has left.
func meet(t *testing.T, u hub.URL, bob, alice *identity.Key) *two {
	t.Helper()
	m, net := &two{}, &broken{}
	registered, opened := make(chan hub.Registered, 16), make(chan struct{}, 1)
	b := agent.New(agent.Options{URL: u, Key: bob, Instance: hub.NewID(), DialContext: net.dial})
	b.Registers = []hub.Register{{Name: "bob", Kinds: []hub.Kind{hub.KindPipe}}}
	b.OnRegistered = func(_ hub.Register, got hub.Registered) { registered <- got }
	b.OnOffer = func(_ context.Context, o agent.Offer) agent.Answer {
		accept, keys, err := o.Request.Accept(bob, o.Hub, o.From, hub.Grant{Method: hub.MethodKey, Meeting: list(1)})
		if err != nil {
			t.Error(err)
		}
		m.keys, m.listener = keys, o.Updates(keys)
		if again := o.Updates(keys); again != m.listener {
			t.Errorf("got other updates the second time: two lists could be sealed with one nonce")
		}
		m.listener.Tell(list(2))
		opened <- struct{}{}
		return agent.Answer{Accept: accept}
	}
	run(t, b)
	<-registered
	m.alice, _ = start(t, u, alice, nil)
	var err error
	m.session, err = m.alice.Request(t.Context(), agent.Ask{To: "bob", Kind: hub.KindPipe, Want: proto.CapSend, Judge: only(bob.ID())})
	if err != nil {
		t.Fatal(err)
	}
	<-opened
	m.dialer, m.cut = m.session.Updates, net.cut
	return m
}

// Both ends hear each other's lists, through connections that break.
func TestUpdates(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	m := meet(t, h.URL(), member(t, h), member(t, h))
	if got := m.session.Grant.NAT; got != "eim" {
		t.Errorf("got NAT %q in the grant, want eim", got)
	}
	own, peer := m.session.Keys.Punch(hub.RoleDialer)
	if theirs, ours := m.keys.Punch(hub.RoleListener); own != ours || peer != theirs || own == peer {
		t.Errorf("the punch keys of the two ends do not match, or both ends have the same one")
	}
	if got := wantList(t, "dialer", m.dialer, 2); got.Gen != 1 {
		t.Errorf("got generation %d, want 1", got.Gen)
	}
	m.dialer.Tell(list(3))
	wantList(t, "listener", m.listener, 3)
	m.listener.Tell(list(4))
	wantList(t, "dialer", m.dialer, 4)

	m.cut()
	m.dialer.Tell(list(5)) // the listener may be away: then it is sent again
	wantList(t, "listener, after its connection broke", m.listener, 5)
	m.listener.Tell(list(6))
	if got := wantList(t, "dialer, after the listener's connection broke", m.dialer, 6, 4); got.Gen != 3 {
		t.Errorf("got generation %d, want 3", got.Gen)
	}

	m.dialer.Close()
	if got, ok := <-m.dialer.Heard(); ok {
		t.Errorf("got %v, want no list after the end", got)
	}
	m.alice.Closed(t.Context(), m.session, "test", "")
	if got, ok := <-m.listener.Heard(); ok {
		t.Errorf("got %v, want no list after the end of the session", got)
	}
}

// A hub that was restarted does not know the session: the dialer makes it again, and both
// ends hear what the other one tells then.
func TestUpdatesOfRestartedHub(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	m := meet(t, h.URL(), member(t, h), member(t, h))
	wantList(t, "dialer", m.dialer, 2)
	restart(t, h)
	m.dialer.Tell(list(3))
	m.listener.Tell(list(4))
	wantList(t, "listener", m.listener, 3)
	wantList(t, "dialer", m.dialer, 4, 2)
}

// The same holds for the session of a code, as long as the listener answers again.
func TestUpdatesOfCodeAtRestart(t *testing.T) {
	t.Parallel()
	p := newCodePair(t)
	codes, end, _ := offer(t, p.bob, nil)
	s, err := p.alice.DialCode(t.Context(), agent.CodeAsk{Code: (<-codes).code})
	if err != nil {
		t.Fatal(err)
	}
	o := <-end
	if o.err != nil {
		t.Fatal(o.err)
	}
	for port := 3; port < 7; port += 2 { // it may die twice
		restart(t, p.h)
		s.Updates.Tell(list(port))
		o.s.Updates.Tell(list(port + 1))
		wantList(t, "listener", o.s.Updates, port, port-2)
		wantList(t, "dialer", s.Updates, port+1, port-1)
	}
}

// A session that the hub has forgotten without a restart is over.
func TestUpdatesOfForgottenSession(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	m := meet(t, h.URL(), member(t, h), member(t, h))
	wantList(t, "dialer", m.dialer, 2)
	h.Skip(hub.SessionLife)
	waitFor(t, "the session is over", func() bool { return h.Broker.Count().Sessions == 0 })
	m.dialer.Tell(list(3))
	if got, ok := <-m.dialer.Heard(); ok {
		t.Errorf("got %v, want the end of the updates", got)
	}
}

// restart restarts a hub.
func restart(t *testing.T, h *hubtest.Hub) {
	t.Helper()
	h.Stop()
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
}

// Of lists that are told quickly only the newest is sent.
func TestUpdatesNewest(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	m := meet(t, h.URL(), member(t, h), member(t, h))
	const n = 200
	var older []int
	for i := range n {
		older = append(older, 1000+i)
		m.dialer.Tell(list(1000 + i))
	}
	m.dialer.Tell(list(3000))
	if got := wantList(t, "listener", m.listener, 3000, older...); got.Gen > 3 {
		t.Errorf("got generation %d after %d lists at once, want at most 3", got.Gen, n)
	}
}

// Both ends of a code exchange lists as those of a name do.
func TestUpdatesOfCode(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob, _ := start(t, h.URL(), member(t, h), nil)
	alice, _ := start(t, h.URL(), member(t, h), nil)
	codes, done, cancel := offer(t, bob, func(agent.CodeDialer) (hub.Grant, func(), error) {
		return hub.Grant{Method: hub.MethodKey}, nil, nil
	})
	defer cancel()
	s, err := alice.DialCode(t.Context(), agent.CodeAsk{Code: (<-codes).code})
	if err != nil {
		t.Fatal(err)
	}
	o := <-done
	if o.err != nil {
		t.Fatal(o.err)
	}
	s.Updates.Tell(list(1))
	o.s.Updates.Tell(list(2))
	wantList(t, "listener", o.s.Updates, 1)
	wantList(t, "dialer", s.Updates, 2)
	own, _ := s.Keys.Punch(hub.RoleDialer)
	if _, theirs := o.s.Keys.Punch(hub.RoleListener); own != theirs {
		t.Errorf("the punch keys of the two ends of a code do not match")
	}
}

// sealList seals a list as a hostile end can: with no regard to limits.
func sealList(t *testing.T, keys *hub.Keys, gen uint64, text string) *hub.Candidates {
	t.Helper()
	block, err := aes.NewCipher(keys.Dialer[:])
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := binary.BigEndian.AppendUint64(make([]byte, 4), gen)
	return &hub.Candidates{Session: keys.Session, Gen: gen, Sealed: aead.Seal(nil, nonce, []byte(text), keys.Session[:])}
}

// Lists that are forged, old, too long, or not a list at all are dropped, and the next good
// one is heard.
func TestUpdatesOfLiar(t *testing.T) {
	t.Parallel()
	const one = `{"type":"host","proto":"udp","addr":"192.0.2.1:9","priority":1}`
	many := `{"nat":"eim","candidates":[` + strings.Repeat(one+",", hub.MaxCandidates) + one + `]}`
	var l *hubtest.Liar
	var keys *hub.Keys
	var mu sync.Mutex
	l = openLiar(t, func(_ identity.ID, e hub.Event) []hub.Event {
		var c hub.Candidates
		mu.Lock()
		k := keys
		mu.Unlock()
		if e.Type != hub.TypeCandidates || e.Read(&c) != nil || k == nil {
			return []hub.Event{e}
		}
		var all []hub.Event
		add := func(c *hub.Candidates) {
			altered, err := hub.New(hub.TypeCandidates, c)
			if err != nil {
				t.Error(err)
			}
			altered.From, altered.Name = e.From, e.Name
			all = append(all, altered)
		}
		add(sealList(t, k, c.Gen+1, many))
		add(sealList(t, k, c.Gen+2, `{"candidates":1}`))
		add(sealList(t, k, c.Gen+3, `{"candidates":[{"type":"host","proto":"udp","addr":"bob.example:9","priority":1}]}`))
		add(sealList(t, k, 1<<40, `{"nat":"eim","candidates":[`+one+`]}`))
		add(&hub.Candidates{Session: c.Session, Gen: c.Gen + 5, Sealed: c.Sealed})
		add(&hub.Candidates{Session: hub.NewID(), Gen: c.Gen, Sealed: c.Sealed})
		add(&hub.Candidates{Session: c.Session, Gen: 1, Sealed: make([]byte, 40)})
		return append(append(all, e), all...)
	})
	m := meet(t, l.URL(), member(t, l.Hub), member(t, l.Hub))
	mu.Lock()
	keys = m.session.Keys
	mu.Unlock()
	for port := 2000; port < 2003; port++ {
		m.dialer.Tell(list(port))
		select {
		case got := <-m.listener.Heard():
			if len(got.Candidates) != 1 || got.NAT != "eim" || !strings.HasPrefix(got.Candidates[0].Addr, "192.0.2.1:2") || got.Gen > 100 {
				t.Fatalf("got %v, want a list of the dialer", got)
			}
		case <-time.After(time.Minute):
			t.Fatal("no list was heard")
		}
	}
}

// A hub that shows an old list again displaces no newer one.
func TestUpdatesReplayed(t *testing.T) {
	t.Parallel()
	var first *hub.Event
	l := openLiar(t, func(_ identity.ID, e hub.Event) []hub.Event {
		var c hub.Candidates
		if e.Type != hub.TypeCandidates || e.Read(&c) != nil || e.From == (identity.ID{}) {
			return []hub.Event{e}
		}
		if first == nil {
			first = &e
			return []hub.Event{e}
		}
		return []hub.Event{e, *first, *first}
	})
	m := meet(t, l.URL(), member(t, l.Hub), member(t, l.Hub))
	wantList(t, "dialer", m.dialer, 2)
	m.listener.Tell(list(3))
	wantList(t, "dialer", m.dialer, 3)
	m.listener.Tell(list(4))
	if got := wantList(t, "dialer", m.dialer, 4); got.Gen != 3 {
		t.Errorf("got generation %d, want 3", got.Gen)
	}
}

// The candidates of relays and those that checks find are not for a peer to name.
func TestUpdatesLeaveOutRelays(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	m := meet(t, h.URL(), member(t, h), member(t, h))
	told := list(7)
	told.Candidates = append(told.Candidates,
		hub.Candidate{Type: candidate.Relay, Proto: candidate.TCP, Addr: "relay.example:443", Priority: 1},
		hub.Candidate{Type: candidate.PeerReflexive, Proto: candidate.UDP, Addr: "192.0.2.1:8", Priority: 1})
	m.dialer.Tell(told)
	wantList(t, "listener", m.listener, 7)
}

// An agent that has stopped leaves no goroutine behind.
func TestUpdatesEnd(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	listener(t, h.URL(), member(t, h), "bob")
	a, stop := start(t, h.URL(), member(t, h), nil)
	s, err := a.Request(t.Context(), agent.Ask{To: "bob", Kind: hub.KindPipe, Judge: anybody})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if got, ok := <-s.Updates.Heard(); ok {
		t.Errorf("got %v, want the end", got)
	}
	s.Updates.Tell(list(1))
	s.Updates.Close()
}

// An end may send 64 lists, one a second, and then one a minute.
func TestUpdatePace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		wait := agent.NewPace()
		for n := 1; n <= 70; n++ {
			wait(t.Context())
			got := time.Since(began).Round(time.Second)
			if n <= 64 && got != time.Duration(n-1)*time.Second {
				t.Errorf("list %d: after %s, want %ds", n, got, n-1)
			}
			if n >= 66 && got < time.Duration(n-65)*time.Minute {
				t.Errorf("list %d: after %s, want one a minute", n, got)
			}
		}
	})
}

// An agent knows the STUN servers of its hub, which tell it its address.
func TestSTUN(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	in := make(chan struct{}, 16)
	a, _ := start(t, h.URL(), member(t, h), func(a *agent.Agent) { a.OnLogin = func(*agent.Conn) { in <- struct{}{} } })
	<-in
	servers := a.STUN()
	if len(servers) != 2 {
		t.Fatalf("got %v, want two ports", servers)
	}
	for _, server := range servers {
		c, err := net.Dial("udp", server)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var id [12]byte
		b := make([]byte, 100)
		if _, err := c.Write(nat.AppendBinding(nil, id, 44)); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := nat.ParseMapped(b[:n], id); err != nil || got.String() != c.LocalAddr().String() {
			t.Errorf("%s: got %v, %v, want %s", server, got, err, c.LocalAddr())
		}
	}
}
