package serve_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/hub/serve"
	"mesh/proto/identity"
	"mesh/proto/relay"
)

// relayedHub is a hub on loopback that is a relay too.
type relayedHub struct {
	testHub
	relay *relay.Server
	log   *logged
}

// logged is a log that several goroutines write.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// relayName is what permits of tests call the relay: not where it is.
const relayName = "hub.example:443"

// startRelayed starts a hub with a relay.
func startRelayed(t *testing.T, o relay.Options, edit func(*serve.Options)) relayedHub {
	t.Helper()
	h := relayedHub{log: &logged{}}
	var relays *serve.Relays
	var ready sync.Once
	key := make(chan *identity.Key, 1)
	of := standing()
	of.Relays = func(session hub.ID, dialer, listener identity.ID) broker.Relay {
		ready.Do(func() {
			var err error
			if relays, err = serve.NewRelays(serve.RelaysOptions{Key: <-key, Own: &serve.OwnRelay{Name: relayName}, Rate: o.Rate, Bytes: o.Bytes}); err != nil {
				t.Error(err)
			}
		})
		return relays.Of(session, dialer, listener)
	}
	m := serve.NewMetrics("test")
	of.Meter = m
	h.testHub = startOf(t, of, func(s *serve.Options) {
		o.OwnKey = s.Key.Derive(relay.OwnKeyLabel)
		o.Hub, o.Name, o.Log = s.Key.ID(), relayName, slog.New(slog.NewTextHandler(h.log, nil))
		h.relay = relay.NewServer(o)
		s.Relay, s.Metrics = h.relay, m
		if edit != nil {
			edit(s)
		}
	})
	key <- h.key
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		h.relay.Drain(ended)
	})
	return h
}

// meeting is a session with the relays of both ends, out of real events.
type meeting struct {
	h                         relayedHub
	dialer, listener          *identity.Key
	ofDialer, ofListener      []hub.Relay
	atHubDialer, atHubListens *hostile
}

// meet makes a session of two members.
func (h relayedHub) meet(t *testing.T) meeting {
	t.Helper()
	m := meeting{h: h, dialer: h.member(t), listener: h.member(t)}
	alice, bob := h.enter(t, m.dialer), h.enter(t, m.listener)
	m.atHubDialer, m.atHubListens = alice, bob
	if code := bob.ask(hub.TypeRegister, hub.Register{Name: "n" + m.listener.ID().String()[3:20], Kinds: []hub.Kind{hub.KindPipe}}); code != "" {
		t.Fatal(code)
	}
	r := alice.request(m.listener.ID().String())
	if code := alice.ask(hub.TypeRequest, r); code != "" {
		t.Fatal(code)
	}
	var offer hub.Offer
	read(t, bob.wait(hub.TypeOffer), &offer)
	if code := bob.ask(hub.TypeAccept, hub.Accept{Session: r.Session, Sealed: []byte{1}, Sig: make([]byte, 64)}); code != "" {
		t.Fatal(code)
	}
	var created hub.Created
	read(t, alice.wait(hub.TypeCreated), &created)
	m.ofDialer, m.ofListener = created.Relay, offer.Relay
	return m
}

func read(t *testing.T, e hub.Event, into hub.Data) {
	t.Helper()
	if err := e.Read(into); err != nil {
		t.Fatal(err)
	}
}

// door returns the entries of the door with the scheme, as a client has them.
func door(t *testing.T, list []hub.Relay, scheme string) (all []relay.Entry) {
	t.Helper()
	for _, r := range list {
		if strings.HasPrefix(r.URL, scheme+"://") {
			all = append(all, relay.Entry{URL: r.URL, Permit: r.Permit, MaxBPS: r.MaxBPS})
		}
	}
	if len(all) == 0 {
		t.Fatalf("no door %s in %v", scheme, list)
	}
	return all
}

// joining is a call of Join that goes on.
type joining struct {
	statuses chan relay.Status
	done     chan joined
}

type joined struct {
	conn *relay.Conn
	err  error
}

// join begins to join by some doors as a node.
func join(t *testing.T, key *identity.Key, entries []relay.Entry) joining {
	return joinAs(t, &relay.Client{Key: key, TLS: insecure()}, entries)
}

func joinAs(t *testing.T, c *relay.Client, entries []relay.Entry) joining {
	j := joining{make(chan relay.Status, 64), make(chan joined, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		conn, err := c.Join(ctx, entries, func(s relay.Status) { j.statuses <- s })
		j.done <- joined{conn, err}
		close(j.statuses)
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return j
}

// status waits for a status.
func (j joining) status(t *testing.T, want relay.Status) {
	t.Helper()
	select {
	case got, ok := <-j.statuses:
		if !ok || got != want {
			t.Fatalf("got status %v (told %v), want %v", got, ok, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("no status, want %v", want)
	}
}

// conn waits for the connection.
func (j joining) conn(t *testing.T) *relay.Conn {
	t.Helper()
	got := <-j.done
	if got.err != nil {
		t.Fatal(got.err)
	}
	t.Cleanup(func() { _ = got.conn.Close() })
	return got.conn
}

// refused waits for the refusal, and returns its code.
func (j joining) refused(t *testing.T) proto.Code {
	t.Helper()
	got := <-j.done
	if got.err == nil {
		_ = got.conn.Close()
		t.Fatal("joined, want a refusal")
	}
	r, ok := errors.AsType[*relay.Refused](got.err)
	if !ok {
		t.Fatalf("got %v, want a refusal", got.err)
	}
	return r.Code
}

// both joins two ends, the listener's place first.
func both(t *testing.T, m meeting, dialer, listener string) (*relay.Conn, *relay.Conn) {
	t.Helper()
	b := join(t, m.listener, door(t, m.ofListener, listener))
	b.status(t, relay.Waiting)
	a := join(t, m.dialer, door(t, m.ofDialer, dialer))
	return a.conn(t), b.conn(t)
}

// echo sends a line each way.
func echo(t *testing.T, a, b net.Conn) {
	t.Helper()
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		text := []byte("a line of bytes")
		if _, err := way[0].Write(text); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(text))
		_ = way[1].SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.ReadFull(way[1], got); err != nil || !bytes.Equal(got, text) {
			t.Fatalf("got %q, %v; want %q", got, err, text)
		}
	}
}

// doors are the schemes of the doors of a hub.
var doors = []string{"tcp", "wss"}

// Two members meet with the permits that the hub's events have brought, by each pair of
// doors. The hub's key alone is enough to check the permits.
func TestRelayMeeting(t *testing.T) {
	t.Parallel()
	h := startRelayed(t, relay.Options{}, nil)
	for _, dialer := range doors {
		for _, listener := range doors {
			m := h.meet(t)
			a, b := both(t, m, dialer, listener)
			echo(t, a, b)
			if a.Door() != map[string]string{"tcp": relay.DoorTCP, "wss": relay.DoorWSS}[dialer] {
				t.Errorf("%s with %s: the dialer came by door %s", dialer, listener, a.Door())
			}
			_, _ = a.Close(), b.Close()
		}
	}
}

// What the hub says of each end: doors at the address by which that end knows the hub, one
// permit for all of them, and each end its own.
func TestRelayEvents(t *testing.T) {
	t.Parallel()
	h := startRelayed(t, relay.Options{Rate: 1 << 20, Bytes: 1 << 30}, nil)
	m := h.meet(t)
	for role, list := range map[relay.Role][]hub.Relay{relay.RoleDialer: m.ofDialer, relay.RoleListener: m.ofListener} {
		if len(list) != len(doors) {
			t.Fatalf("%s: got %v, want %d doors", role, list, len(doors))
		}
		for i, want := range []string{"tcp://" + h.addr, "wss://" + h.addr + "/relay/v1"}[:len(doors)] {
			if list[i].URL != want || list[i].MaxBPS != 1<<20 || list[i].Permit != list[0].Permit {
				t.Errorf("%s: got %+v, want %s at 1 MiB/s with the permit of the first door", role, list[i], want)
			}
		}
		p, err := relay.ParsePermit(list[0].Permit, h.key.ID(), h.key.Derive(relay.OwnKeyLabel))
		if err != nil {
			t.Fatal(err)
		}
		if p.Role != role || p.Dialer() != m.dialer.ID() || p.Listener() != m.listener.ID() || p.Relay != relayName || p.Rate != 1<<20 || p.Bytes != 1<<30 || p.Check(relayName, time.Now()) != nil {
			t.Errorf("%s: got permit %+v", role, p)
		}
	}
}

// A permit that was read on the wire is worth nothing to another node, member or not: it
// takes no place, replaces none, and the ends meet as if nothing had been.
func TestRelayReplay(t *testing.T) {
	t.Parallel()
	h := startRelayed(t, relay.Options{}, nil)
	for _, scheme := range doors {
		m := h.meet(t)
		b := join(t, m.listener, door(t, m.ofListener, scheme))
		b.status(t, relay.Waiting)
		for what, thief := range map[string]*identity.Key{"a stranger": newKey(t), "a member": h.member(t), "the other end": m.dialer} {
			for range 5 { // more than the places of a session
				if code := join(t, thief, door(t, m.ofListener, scheme)).refused(t); code != proto.Denied {
					t.Errorf("%s with the listener's permit by %s: got code %s, want %s", what, scheme, code, proto.Denied)
				}
			}
		}
		if code := join(t, newKey(t), door(t, m.ofDialer, scheme)).refused(t); code != proto.Denied {
			t.Errorf("a stranger with the dialer's permit: got code %s, want %s", code, proto.Denied)
		}
		a := join(t, m.dialer, door(t, m.ofDialer, scheme))
		echo(t, a.conn(t), b.conn(t))
		h = startRelayed(t, relay.Options{}, nil) // the source has used up its joins
	}
}

// Who asks for a session under the id of others meets nobody but the node that it asked for.
func TestRelayForeignSession(t *testing.T) {
	t.Parallel()
	h := startRelayed(t, relay.Options{}, nil)
	m := h.meet(t)
	b := join(t, m.listener, door(t, m.ofListener, "tcp"))
	b.status(t, relay.Waiting)
	p, err := relay.ParsePermit(m.ofDialer[0].Permit, h.key.ID(), h.key.Derive(relay.OwnKeyLabel))
	if err != nil {
		t.Fatal(err)
	}
	// The id is free again once the session is over at the hub; the places are not.
	if code := m.atHubDialer.ask(hub.TypeCancel, hub.SessionRef{Session: hub.ID(p.Session)}); code != "" {
		t.Fatal(code)
	}
	mallory, eve := h.member(t), h.member(t)
	atHub, eveAtHub := h.enter(t, mallory), h.enter(t, eve)
	if code := eveAtHub.ask(hub.TypeRegister, hub.Register{Name: "eve", Kinds: []hub.Kind{hub.KindPipe}}); code != "" {
		t.Fatal(code)
	}
	r := atHub.request("eve")
	r.Session = hub.ID(p.Session)
	r.Sign(mallory, h.key.ID())
	if code := atHub.ask(hub.TypeRequest, r); code != "" {
		t.Fatal(code)
	}
	var offer hub.Offer
	read(t, eveAtHub.wait(hub.TypeOffer), &offer)
	if code := eveAtHub.ask(hub.TypeAccept, hub.Accept{Session: r.Session, Sealed: []byte{1}, Sig: make([]byte, 64)}); code != "" {
		t.Fatal(code)
	}
	var created hub.Created
	read(t, atHub.wait(hub.TypeCreated), &created)
	dials := join(t, mallory, door(t, created.Relay, "tcp"))
	dials.status(t, relay.Waiting)
	listens := join(t, eve, door(t, offer.Relay, "tcp"))
	echo(t, dials.conn(t), listens.conn(t))
	a := join(t, m.dialer, door(t, m.ofDialer, "tcp"))
	echo(t, a.conn(t), b.conn(t))
}

// A relay that is about to end tells the nodes that wait and those that come, and lets pairs go
// on until the time is over.
func TestRelayDrain(t *testing.T) {
	t.Parallel()
	h := startRelayed(t, relay.Options{}, nil)
	m, waits := h.meet(t), h.meet(t)
	a, b := both(t, m, doors[0], doors[len(doors)-1])
	place := join(t, waits.listener, door(t, waits.ofListener, doors[len(doors)-1]))
	place.status(t, relay.Waiting)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	drained := make(chan struct{}) // closed when the drain is over
	go func() {
		defer close(drained)
		h.relay.Drain(ctx)
	}()
	place.status(t, relay.Draining)
	if got := <-place.done; proto.CodeOf(got.err) != proto.Unreachable {
		t.Errorf("a place in the drain: got %v, want code %s", got.err, proto.Unreachable)
	}
	late := join(t, waits.dialer, door(t, waits.ofDialer, "tcp"))
	late.status(t, relay.Draining)
	echo(t, a, b)
	select {
	case <-drained:
		t.Fatal("the drain ends while a pair lives")
	default:
	}
	cancel()
	<-drained
	_ = a.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := a.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("after the drain: got %v, want an error that is no end by the peer", err)
	}
}

// The numbers and the one line of a session in the log.
func TestRelayTold(t *testing.T) {
	t.Parallel()
	h := startRelayed(t, relay.Options{}, nil)
	m := h.meet(t)
	for range 2 {
		if code := join(t, newKey(t), door(t, m.ofDialer, "tcp")).refused(t); code != proto.Denied {
			t.Fatal(code)
		}
	}
	a, b := both(t, m, "tcp", "tcp")
	echo(t, a, b)
	got, text := metricsOf(t, h.testHub)
	for name, want := range map[string]string{
		"mesh_relay_pairs": "1", "mesh_relay_waiting": "0", `mesh_relay_bytes_total{door="tcp"}`: "30", `mesh_relay_bytes_total{door="wss"}`: "0",
		`mesh_relay_joins_total{door="tcp",result="ok"}`: "2", `mesh_relay_joins_total{door="tcp",result="denied"}`: "2",
		`mesh_relay_limited_seconds_total{limit="session"}`: "0", `mesh_relay_limited_seconds_total{limit="total"}`: "0",
		"mesh_relay_session_seconds_count": "0",
	} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
	}
	for _, k := range []*identity.Key{m.dialer, m.listener} {
		if strings.Contains(text, k.ID().String()) {
			t.Error("the metrics name a node")
		}
	}
	_, _ = a.Close(), b.Close()
	waitFor(t, func() bool {
		got, _ := metricsOf(t, h.testHub)
		return got["mesh_relay_session_seconds_count"] == "1" && got["mesh_relay_pairs"] == "0"
	})
	log := h.log.String()
	if n := strings.Count(log, "\n"); n != 1 {
		t.Errorf("the log has %d lines, want 1:\n%s", n, log)
	}
	for _, want := range []string{m.dialer.ID().String(), m.listener.ID().String(), "dialer_door=tcp", "listener_door=tcp", "dialer_bytes=15", "listener_bytes=15", "seconds="} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %s:\n%s", want, log)
		}
	}
}

// waitFor waits until something that other goroutines do is so.
func waitFor(t *testing.T, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 4000 {
		if is() {
			return
		}
		<-tick.C
	}
	t.Fatal("it does not become so in 20 s")
}

// Connections at the plain door take none of the places of nodes that log in, even where
// all come from one source.
func TestRelayKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	h := startRelayed(t, relay.Options{}, patient)
	for range 40 {
		c := h.dialFrom(t, "127.0.0.1")
		if _, err := c.Write([]byte(relay.Magic)); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, func() bool {
		got, _ := metricsOf(t, h.testHub)
		return got[`mesh_hub_connections{state="silent"}`] == "0"
	})
	h.enter(t, h.member(t))
}

// A source that the hub refuses gets to no door, and a hub that is no relay has none.
func TestNoRelayDoor(t *testing.T) {
	t.Parallel()
	h := startRelayed(t, relay.Options{}, nil)
	m := h.meet(t)
	if err := h.broker.AddBan("admin", "127.0.0.77"); err != nil {
		t.Fatal(err)
	}
	c := h.dialFrom(t, "127.0.0.77")
	_, _ = c.Write(relay.AppendGreeting(nil, m.ofDialer[0].Permit))
	wantEnd(t, "a banned source", c)

	plain := start(t, nil)
	c = plain.dialFrom(t, "127.0.0.1")
	_, _ = c.Write(append(relay.AppendGreeting(nil, m.ofDialer[0].Permit), "\r\n\r\n"...))
	answer, _ := io.ReadAll(c)
	if len(answer) > 0 && !bytes.HasPrefix(answer, []byte("HTTP/1.1 4")) {
		t.Errorf("a hub without a relay: got %q, want no challenge", answer)
	}
	if got := plain.request(t, "GET", "/relay/v1", "", nil); got.status != 404 {
		t.Errorf("a hub without a relay: got status %d, want 404", got.status)
	}
}

// wantEnd wants the hub to end a connection without a byte.
func wantEnd(t *testing.T, what string, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%s: got %d bytes, %v; want an end", what, n, err)
	}
}

// A permit that has expired, or that another hub has signed, is refused at each door.
func TestRelayOldPermit(t *testing.T) {
	t.Parallel()
	late := startRelayed(t, relay.Options{Now: func() time.Time { return time.Now().Add(relay.PermitLife + relay.DateSlack + time.Minute) }}, nil)
	other := startRelayed(t, relay.Options{}, nil)
	m, foreign := late.meet(t), other.meet(t)
	for _, scheme := range doors {
		if code := join(t, m.dialer, door(t, m.ofDialer, scheme)).refused(t); code != proto.Timeout {
			t.Errorf("an old permit by %s: got code %s, want %s", scheme, code, proto.Timeout)
		}
		entry := door(t, foreign.ofDialer, scheme)
		entry[0].URL = strings.Replace(entry[0].URL, other.addr, late.addr, 1)
		if code := join(t, foreign.dialer, entry).refused(t); code != proto.Denied {
			t.Errorf("the permit of another hub by %s: got code %s, want %s", scheme, code, proto.Denied)
		}
	}
}
