package broker_test

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/xtest"
)

// memory is a store without a disk.
type memory struct {
	mu    sync.Mutex
	facts map[string][]byte
	log   []broker.Entry
	fail  error
}

func (m *memory) Load() ([]broker.Fact, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []broker.Fact
	for k, v := range m.facts {
		all = append(all, broker.Fact{Key: k, Value: v})
	}
	return all, nil
}

func (m *memory) Write(e broker.Entry, changes ...broker.Fact) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	for _, c := range changes {
		if err := broker.CheckFact(c); len(c.Value) > 0 && err != nil {
			return err
		}
		if m.facts[c.Key] = bytes.Clone(c.Value); len(c.Value) == 0 {
			delete(m.facts, c.Key)
		}
	}
	e.N = uint64(len(m.log)) + 1
	m.log = append(m.log, e)
	return nil
}

func (m *memory) Log(after uint64, limit int) ([]broker.Entry, error) {
	rest := m.log[min(int(after), len(m.log)):]
	return rest[:min(limit, len(rest))], nil
}

// world is a hub with a clock that tests turn.
type world struct {
	t     testing.TB
	b     *broker.Broker
	store *memory
	now   time.Time
	hub   *identity.Key
	// roomsOnly, guests and relays are options of the next restart.
	roomsOnly, guests bool
	relays            func(session hub.ID, dialer, listener identity.ID) broker.Relay
	doors             func(origin string) []hub.Relay
	// from is where the next logins come from.
	from netip.AddrPort

	revoked token.ID // a voucher
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, store: &memory{facts: map[string][]byte{}}, now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), hub: xtest.NewKey(t), from: source}
	w.restart()
	return w
}

// restart begins a new hub on the same store.
func (w *world) restart() {
	w.t.Helper()
	b, err := broker.New(w.store, broker.Options{
		Hub: w.hub.ID(), APIKey: w.hub.Derive(hub.APIKeyLabel), Now: func() time.Time { return w.now }, RoomsOnly: w.roomsOnly, Guests: w.guests, Relays: w.relays, Doors: w.doors,
		Revoked: func(id token.ID) bool { return id == w.revoked },
		Revoke: func(id token.ID) error {
			w.revoked = id
			return nil
		},
		SignJoined: func(seed, node identity.ID, until time.Time) *hub.Joined {
			return hub.SignJoined(w.hub, seed, node, until)
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.b = b
}

// pass turns the clock, with a sweep at each step as its owner does it.
func (w *world) pass(d time.Duration) {
	step := broker.SweepEvery
	if d > time.Hour {
		step = d
	}
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(min(step, end.Sub(w.now)))
		w.b.Sweep()
	}
}

// member returns a key that may log in.
func (w *world) member() *identity.Key {
	w.t.Helper()
	k := xtest.NewKey(w.t)
	w.ok("add member", w.b.AddMember("admin", k.ID(), time.Time{}))
	return k
}

func (w *world) ok(what string, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
}

// peer is one connection of a node.
type peer struct {
	w        *world
	key      *identity.Key
	instance hub.ID
	k        *broker.Conn
	events   []hub.Event
	code     int // of the close
	ids      int
}

// Send implements broker.Out.
func (p *peer) Send(e hub.Event) { p.events = append(p.events, e) }

// Close implements broker.Out.
func (p *peer) Close(code int, _ string) { p.code = code }

// everything is a page with all elements.
var everything = broker.Page{Limit: 1 << 20}

var source = netip.MustParseAddrPort("192.0.2.9:1234")

// login logs an instance in, as the client would, and returns what the hub says.
func (w *world) login(key *identity.Key, instance hub.ID, change func(l *hub.Login, h *hub.Hello), names ...hub.Register) (*peer, error) {
	p := &peer{w: w, key: key, instance: instance}
	l := hub.Login{Origin: "wss://h:443", Hub: w.hub.ID(), ClientNonce: hub.NewNonce(16), HubNonce: hub.NewNonce(32), Binding: hub.NewNonce(32)}
	h := &hub.Hello{Node: key.ID(), Binding: l.Binding, Instance: instance, Register: names}
	h.Sig = l.Sign(key, instance)
	if change != nil {
		change(&l, h)
	}
	var err error
	p.k, err = w.b.Login(l, h, w.from, p)
	return p, err
}

// online logs a new instance in.
func (w *world) online(key *identity.Key, names ...hub.Register) *peer {
	w.t.Helper()
	p, err := w.login(key, hub.NewID(), nil, names...)
	w.ok("log in", err)
	return p
}

// again is a new connection of the same instance.
func (p *peer) again(names ...hub.Register) *peer {
	p.w.t.Helper()
	q, err := p.w.login(p.key, p.instance, nil, names...)
	p.w.ok("log in again", err)
	return q
}

// ask sends an event and returns its answer.
func (p *peer) ask(typ string, data hub.Data) hub.Event {
	p.w.t.Helper()
	e, err := hub.New(typ, data)
	p.w.ok("encode", err)
	p.ids++
	e.ID = string(rune('A'+p.ids%26)) + hub.NewID().String()[:8]
	e.From, e.Name = identity.ID{0xff}, "mallory" // what a client says of this counts for nothing
	p.k.Handle(e)
	at := slices.IndexFunc(p.events, func(a hub.Event) bool { return a.Ref == e.ID })
	if at < 0 {
		return hub.Event{}
	}
	answer := p.events[at]
	p.events = slices.Delete(p.events, at, at+1)
	return answer
}

// want asks and checks the answer: its type, or the code of its error.
func (p *peer) want(want, typ string, data hub.Data) {
	p.w.t.Helper()
	if got := outcome(p.ask(typ, data)); got != want {
		p.w.t.Errorf("%s: got %q, want %q", typ, got, want)
	}
}

func outcome(e hub.Event) string {
	var f hub.Error
	if e.Type == hub.TypeError && e.Read(&f) == nil {
		return f.Code
	}
	return e.Type
}

// take removes the first event of a type that came, and reads it.
func (p *peer) take(typ string, into hub.Data) hub.Event {
	p.w.t.Helper()
	at := slices.IndexFunc(p.events, func(e hub.Event) bool { return e.Type == typ })
	if at < 0 {
		p.w.t.Fatalf("no %s came, but %v", typ, types(p.events))
	}
	e := p.events[at]
	p.events = slices.Delete(p.events, at, at+1)
	p.w.ok("read", e.Read(into))
	return e
}

func (p *peer) none(typ string) {
	p.w.t.Helper()
	if slices.Contains(types(p.events), typ) {
		p.w.t.Errorf("a %s came: %v", typ, types(p.events))
	}
}

func types(events []hub.Event) []string {
	var out []string
	for _, e := range events {
		out = append(out, e.Type)
	}
	return out
}

// passAlive keeps the peers alive while the clock turns.
func (w *world) passAlive(d time.Duration, peers ...*peer) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.pass(min(hub.PingEvery, end.Sub(w.now)))
		for _, p := range peers {
			p.k.Ping()
		}
	}
}

func named(name string, kinds ...hub.Kind) hub.Register {
	return hub.Register{Name: name, Kinds: append(kinds, hub.KindPipe)}
}

func lasting(name string, kinds ...hub.Kind) hub.Register {
	r := named(name, kinds...)
	r.Lasting = true
	return r
}

func (p *peer) request(to string) *hub.Request {
	r := &hub.Request{Session: hub.NewID(), To: to, Kind: hub.KindPipe, Want: "send", Seal: make([]byte, hub.SealKeyBytes)}
	r.Sign(p.key, p.w.hub.ID())
	return r
}

func acceptOf(id hub.ID) *hub.Accept {
	return &hub.Accept{Session: id, Sealed: []byte("sealed"), Sig: make([]byte, hub.SignatureBytes)}
}

func wantDenied(t testing.TB, what string, err error, code int) {
	t.Helper()
	d, ok := errors.AsType[*broker.Denied](err)
	if !ok || d.Code != code {
		t.Errorf("%s: got %v, want close code %d", what, err, code)
	}
}

func wantRefused(t testing.TB, what string, err error, code string) {
	t.Helper()
	r, ok := errors.AsType[*broker.Refusal](err)
	if !ok || r.Code != code {
		t.Errorf("%s: got %v, want %q", what, err, code)
	}
}
