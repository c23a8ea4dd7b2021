package serve_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/serve"
	"mesh/proto/identity"
	"mesh/proto/relay"
)

func parseURL(t *testing.T, text string) hub.URL {
	t.Helper()
	u, err := hub.ParseURL(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func urls(list []hub.Relay) (all []string) {
	for _, r := range list {
		all = append(all, r.URL)
	}
	return all
}

// A node is told the doors of the hub's own relay at the address where it has found the hub.
func TestOwnRelayDoors(t *testing.T) {
	t.Parallel()
	known := []hub.URL{parseURL(t, "wss://hub.example/mesh"), parseURL(t, "wss://other.example:8443")}
	for _, tt := range []struct {
		name   string
		own    serve.OwnRelay
		origin string
		want   []string
	}{
		{"an address", serve.OwnRelay{}, "wss://192.0.2.1:4443", []string{"tcp://192.0.2.1:4443", "wss://192.0.2.1:4443/relay/v1"}},
		{"IPv6", serve.OwnRelay{}, "wss://[2001:db8::1]:443", []string{"tcp://[2001:db8::1]:443", "wss://[2001:db8::1]:443/relay/v1"}},
		{"a path", serve.OwnRelay{URLs: known}, "wss://hub.example:443", []string{"tcp://hub.example:443", "wss://hub.example:443/mesh/relay/v1"}},
		{"another URL", serve.OwnRelay{URLs: known}, "wss://other.example:8443", []string{"tcp://other.example:8443", "wss://other.example:8443/relay/v1"}},
		{"this machine", serve.OwnRelay{}, "ws://localhost:8080", []string{"tcp://localhost:8080", "ws://localhost:8080/relay/v1"}},
		{"behind a proxy", serve.OwnRelay{URLs: known, Proxied: true}, "wss://hub.example:443", []string{"wss://hub.example:443/mesh/relay/v1"}},
		{"behind a proxy, with a port", serve.OwnRelay{Proxied: true, Plain: ":4700"}, "wss://hub.example:443", []string{"tcp://hub.example:4700", "wss://hub.example:443/relay/v1"}},
		{"any address", serve.OwnRelay{Plain: "[::]:4700"}, "wss://hub.example:443", []string{"tcp://hub.example:4700", "wss://hub.example:443/relay/v1"}},
		{"an address for it", serve.OwnRelay{Plain: "203.0.113.5:4700"}, "wss://hub.example:443", []string{"tcp://203.0.113.5:4700", "wss://hub.example:443/relay/v1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.own.Name = relayName
			relays, err := serve.NewRelays(serve.RelaysOptions{Key: newKey(t), Own: &tt.own})
			if err != nil {
				t.Fatal(err)
			}
			list := relays.Of(hub.NewID(), newKey(t).ID(), newKey(t).ID()).Doors(hub.RoleDialer, tt.origin)
			if got := urls(list); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			open := relays.Doors(tt.origin)
			if got := urls(open); !slices.Equal(got, tt.want) || open[0].Permit != "" {
				t.Errorf("without a session: got %v, want %v without permits", open, tt.want)
			}
		})
	}
}

// Nodes that have logged in at different origins, in turns, get the doors there.
func TestOwnRelayOrigins(t *testing.T) {
	t.Parallel()
	relays, err := serve.NewRelays(serve.RelaysOptions{Key: newKey(t), Own: &serve.OwnRelay{Name: relayName}})
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"a.example:443", "a.example:443", "b.example:443", "a.example:443"} {
		want := []string{"tcp://" + host, "wss://" + host + "/relay/v1"}
		if got := urls(relays.Doors("wss://" + host)); !slices.Equal(got, want) {
			t.Errorf("at %s: got %v, want %v", host, got, want)
		}
	}
}

// A session that is asked for again gets the same permit while that is fresh, and another
// one before it is too old to join with.
func TestPermitRenewed(t *testing.T) {
	t.Parallel()
	now := time.Unix(2e9, 0)
	key := newKey(t)
	relays, err := serve.NewRelays(serve.RelaysOptions{Key: key, Own: &serve.OwnRelay{Name: relayName}, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	s := relays.Of(hub.NewID(), newKey(t).ID(), newKey(t).ID())
	permit := func() string { return s.Doors(hub.RoleListener, "wss://h:443")[0].Permit }
	first := permit()
	now = now.Add(time.Minute)
	if permit() != first {
		t.Error("after a minute: another permit, want the same")
	}
	now = now.Add(30 * time.Minute)
	p, err := relay.ParsePermit(permit(), key.ID(), key.Derive(relay.OwnKeyLabel))
	if err != nil || !p.Expires.Equal(now.Add(relay.PermitLife)) {
		t.Errorf("after 31 minutes: got a permit until %v, %v; want until %v", p.Expires, err, now.Add(relay.PermitLife))
	}
}

func TestRelaysRefused(t *testing.T) {
	t.Parallel()
	if _, err := serve.NewRelays(serve.RelaysOptions{Key: newKey(t), Own: &serve.OwnRelay{Name: "Hub.example"}}); err == nil {
		t.Error("a name that no permit may have is taken")
	}
}

// otherRelay is a relay on a machine of its own.
type otherRelay struct {
	url    hub.URL
	server *serve.RelayServer
	drain  func()
}

func startRelayServer(t *testing.T, hubKey identity.ID) otherRelay {
	t.Helper()
	key := newKey(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := parseURL(t, "wss://"+l.Addr().String()+"#"+key.ID().String())
	s, err := serve.NewRelayServer(serve.RelayOptions{Key: key, Relay: relay.NewServer(relay.Options{Hub: hubKey, Name: u.Host})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended, now := context.WithCancel(context.Background())
	now()
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(ctx, l) })
	t.Cleanup(func() {
		s.Drain(ended)
		cancel()
		s.Close()
		wg.Wait()
	})
	return otherRelay{u, s, func() { s.Drain(ended) }}
}

// watched returns relays that are asked each few milliseconds.
func watched(t *testing.T, key *identity.Key, others ...hub.URL) *serve.Relays {
	t.Helper()
	o := serve.RelaysOptions{Key: key, URLs: others}
	serve.SetAskEvery(&o, 10*time.Millisecond)
	relays, err := serve.NewRelays(o)
	if err != nil {
		t.Fatal(err)
	}
	if r := relays.Of(hub.NewID(), newKey(t).ID(), newKey(t).ID()); r != nil {
		t.Error("a relay is named before it has answered")
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { relays.Watch(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return relays
}

// A hub names relays on other machines that answer under their own key, both ends of a
// session the same one, and none that ends. Two nodes meet there by both doors.
func TestOtherRelays(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	one, two := startRelayServer(t, key.ID()), startRelayServer(t, key.ID())
	impostor := one.url
	impostor.Key = newKey(t).ID()
	nobody := parseURL(t, "wss://127.0.0.1:1#"+newKey(t).ID().String())
	relays := watched(t, key, one.url, two.url, impostor, nobody)
	// named returns the hosts that 64 sessions are told.
	named := func() (hosts []string) {
		for i := range 64 {
			session := hub.NewID()
			session[7] = byte(i)
			if r := relays.Of(session, newKey(t).ID(), newKey(t).ID()); r != nil {
				list := r.Doors(hub.RoleDialer, "wss://hub.example:443")
				if again := r.Doors(hub.RoleListener, "wss://other.example:443"); !slices.Equal(urls(list), urls(again)) {
					t.Fatalf("one end is told %v, the other %v", urls(list), urls(again))
				}
				hosts = append(hosts, list[len(list)-1].URL)
			}
		}
		slices.Sort(hosts)
		return slices.Compact(hosts)
	}
	web := func(r otherRelay) string { return fmt.Sprintf("wss://%s/relay/v1#%s", r.url.Host, r.url.Key) }
	both := []string{web(one), web(two)}
	slices.Sort(both)
	waitFor(t, func() bool { return slices.Equal(named(), both) })
	if got := urls(relays.Doors("")); len(got) != hub.MaxRelays || !slices.Contains(got, web(one)) || !slices.Contains(got, web(two)) {
		t.Errorf("got the doors %v, want those of two relays", got)
	}
	one.drain()
	waitFor(t, func() bool { return slices.Equal(named(), []string{web(two)}) })

	alice, bob := newKey(t), newKey(t)
	for _, scheme := range []string{"tcp", "wss"} {
		r := relays.Of(hub.NewID(), alice.ID(), bob.ID())
		listens := joinAs(t, &relay.Client{Key: bob}, door(t, r.Doors(hub.RoleListener, "wss://h:443"), scheme))
		listens.status(t, relay.Waiting)
		dials := joinAs(t, &relay.Client{Key: alice}, door(t, r.Doors(hub.RoleDialer, "wss://h:443"), scheme))
		echo(t, dials.conn(t), listens.conn(t))
	}
	// Another machine that answers at that address is not the relay.
	r := relays.Of(hub.NewID(), alice.ID(), bob.ID())
	entry := door(t, r.Doors(hub.RoleListener, "wss://h:443"), "wss")[0]
	entry.URL = fmt.Sprintf("wss://%s/relay/v1#%s", two.url.Host, impostor.Key)
	if got := <-joinAs(t, &relay.Client{Key: bob}, []relay.Entry{entry}).done; proto.CodeOf(got.err) != proto.Unreachable {
		t.Errorf("a relay with another key: got %v, want code %s", got.err, proto.Unreachable)
	}
	// A permit for one relay is good for no other one.
	entry = door(t, r.Doors(hub.RoleListener, "wss://h:443"), "tcp")[0]
	three := startRelayServer(t, key.ID())
	entry.URL = "tcp://" + three.url.Host
	if code := join(t, bob, []relay.Entry{entry}).refused(t); code != proto.Denied {
		t.Errorf("at another relay: got code %s, want %s", code, proto.Denied)
	}
	// When none answers any more, sessions get the one that has answered last: a transfer
	// that waits for it needs permits as soon as it is back.
	one = startRelayServer(t, key.ID())
	relays = watched(t, key, nobody, one.url)
	waitFor(t, func() bool { return slices.Equal(named(), []string{web(one)}) })
	one.drain()
	waitFor(t, func() bool { return !serve.Answers(relays, one.url.Host) })
	if got := named(); !slices.Equal(got, []string{web(one)}) {
		t.Errorf("without a relay that answers: got %v, want %s", got, web(one))
	}
	if got := urls(relays.Doors("")); !slices.Contains(got, web(one)) {
		t.Errorf("without a relay that answers: got the doors %v, want %s", got, web(one))
	}
}

// What a relay on a machine of its own answers over HTTP.
func TestRelayServerHTTP(t *testing.T) {
	t.Parallel()
	r := startRelayServer(t, newKey(t).ID())
	h := testHub{addr: r.url.Host}
	for _, tt := range []struct {
		path, header string
		want         int
	}{
		{"/healthz", "", 204},
		{"/healthz", "Origin: https://evil.test", 403},
		{"/relay/v1", "Origin: https://evil.test", 403},
		{"/relay/v1", "", 401},
		{"/", "", 404},
		{"/api/v1/whoami", "", 404},
	} {
		var header []string
		if tt.header != "" {
			header = []string{tt.header}
		}
		if got := h.request(t, "GET", tt.path, "", nil, header...).status; got != tt.want {
			t.Errorf("GET %s %s: got status %d, want %d", tt.path, tt.header, got, tt.want)
		}
	}
	r.drain()
	if got := h.request(t, "GET", "/healthz", "", nil).status; got != 503 {
		t.Errorf("in the drain: got status %d, want 503", got)
	}
}

// A page of another site, and a foreign host name, do not get to the WebSocket of a hub's
// relay.
func TestRelayDoorOrigin(t *testing.T) {
	t.Parallel()
	h := startRelayed(t, relay.Options{}, withURLs(t, "wss://hub.example"))
	for _, tt := range []struct {
		header []string
		want   int
	}{
		{[]string{"Host: hub.example", "Origin: https://evil.test"}, 403},
		{[]string{"Host: evil.test"}, 421},
		{[]string{"Host: hub.example"}, 401},
	} {
		if got := h.request(t, "GET", "/relay/v1", "", nil, tt.header...).status; got != tt.want {
			t.Errorf("%v: got status %d, want %d", tt.header, got, tt.want)
		}
	}
}
