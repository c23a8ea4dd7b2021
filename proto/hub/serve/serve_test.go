package serve_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/hub/broker"
	"mesh/proto/hub/serve"
	"mesh/proto/identity"
)

// memory is a store without a disk.
type memory struct {
	mu  sync.Mutex
	log []broker.Entry
}

func (m *memory) Load() ([]broker.Fact, error) { return nil, nil }

func (m *memory) Write(e broker.Entry, _ ...broker.Fact) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log = append(m.log, e)
	return nil
}

func (m *memory) Log(uint64, int) ([]broker.Entry, error) { return m.log, nil }

// testHub is a hub on loopback.
type testHub struct {
	key    *identity.Key
	broker *broker.Broker
	server *serve.Server
	addr   string
}

func newKey(t testing.TB) *identity.Key {
	t.Helper()
	k, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func start(t *testing.T, edit func(*serve.Options)) testHub {
	t.Helper()
	return startOf(t, broker.Options{}, edit)
}

// startOf starts a hub whose broker has more options than its keys.
func startOf(t *testing.T, of broker.Options, edit func(*serve.Options)) testHub {
	t.Helper()
	return startAll(t, of, edit, func(l net.Listener) net.Listener { return l })
}

// standing makes the clock of a broker stand still, so that a rate is its burst alone: on a
// busy machine a test may send more slowly than a rate allows.
func standing() broker.Options {
	now := time.Now()
	return broker.Options{Now: func() time.Time { return now }}
}

// patient makes a hub wait long for its clients, which are slow on a busy machine.
func patient(o *serve.Options) { serve.SetClientWait(o, time.Minute) }

// startOn starts a hub on what wrap returns for a listener.
func startOn(t *testing.T, edit func(*serve.Options), wrap func(net.Listener) net.Listener) testHub {
	t.Helper()
	return startAll(t, broker.Options{}, edit, wrap)
}

func startAll(t *testing.T, of broker.Options, edit func(*serve.Options), wrap func(net.Listener) net.Listener) testHub {
	t.Helper()
	h := testHub{key: newKey(t)}
	of.Hub, of.APIKey = h.key.ID(), h.key.Derive(hub.APIKeyLabel)
	var err error
	if h.broker, err = broker.New(&memory{}, of); err != nil {
		t.Fatal(err)
	}
	o := serve.Options{Key: h.key, Broker: h.broker}
	if edit != nil {
		edit(&o)
	}
	s, err := serve.New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.server, h.addr = s, l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(ctx, wrap(l)) })
	wg.Go(func() { s.Sweep(ctx) })
	t.Cleanup(func() {
		cancel()
		s.Close()
		wg.Wait()
	})
	return h
}

func (h testHub) url(t *testing.T, text string) hub.URL {
	t.Helper()
	u, err := hub.ParseURL(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (h testHub) pinned(t *testing.T) hub.URL {
	return h.url(t, "wss://"+h.addr+"#"+h.key.ID().String())
}

func (h testHub) member(t *testing.T) *identity.Key {
	t.Helper()
	k := newKey(t)
	if err := h.broker.AddMember("admin", k.ID(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	return k
}

func TestLogin(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	member := h.member(t)
	for _, tt := range []struct {
		name string
		url  string
		key  *identity.Key
		want proto.Code
	}{
		{"pinned", h.pinned(t).String(), member, proto.OK},
		{"plain on loopback", "ws://" + h.addr + "#" + h.key.ID().String(), member, proto.OK},
		{"another hub is pinned", "wss://" + h.addr + "#" + newKey(t).ID().String(), member, proto.Identity},
		{"another hub, plain", "ws://" + h.addr + "#" + newKey(t).ID().String(), member, proto.Identity},
		{"no pin, no authority", "wss://" + h.addr, member, proto.Identity},
		{"no member", h.pinned(t).String(), newKey(t), proto.Denied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := agent.Dial(t.Context(), agent.Options{URL: h.url(t, tt.url), Key: tt.key, Instance: hub.NewID()}, func(hub.Event) {})
			if got := proto.CodeOf(err); got != tt.want {
				t.Fatalf("got %v (%v), want %v", got, err, tt.want)
			}
			if c != nil {
				if want := strings.HasPrefix(tt.url, "wss"); c.Bound != want {
					t.Errorf("bound: got %v, want %v", c.Bound, want)
				}
				c.Close()
			}
		})
	}
}

// An invite makes one member, once.
func TestInvite(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	i := hub.NewInvite(h.pinned(t), time.Now().Add(time.Hour))
	if err := h.broker.AddInvite("admin", broker.Invite{Key: i.Key(), Name: "bob", Expires: i.Expires, Uses: 1}); err != nil {
		t.Fatal(err)
	}
	first := newKey(t)
	for n, tt := range []struct {
		key    *identity.Key
		invite *hub.Invite
		want   proto.Code
	}{{first, &i, proto.OK}, {newKey(t), &i, proto.Denied}, {first, nil, proto.OK}} {
		c, err := agent.Dial(t.Context(), agent.Options{URL: i.URL, Key: tt.key, Instance: hub.NewID(), Invite: tt.invite}, func(hub.Event) {})
		if got := proto.CodeOf(err); got != tt.want {
			t.Fatalf("login %d: got %v (%v), want %v", n, got, err, tt.want)
		}
		if c != nil {
			if c.Welcome.Name != "bob" {
				t.Errorf("login %d: name %q, want bob", n, c.Welcome.Name)
			}
			c.Close()
		}
	}
}

func run(t *testing.T, a *agent.Agent) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { a.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

// Two nodes that know the hub alone make a session, whose token the hub cannot read.
func TestSession(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	alice, bob := h.member(t), h.member(t)
	online := make(chan hub.Registered, 1)
	listener := agent.New(agent.Options{URL: h.pinned(t), Key: bob, Instance: hub.NewID()})
	listener.Registers = []hub.Register{{Name: "bob", Kinds: []hub.Kind{hub.KindPipe}}}
	listener.OnRegistered = func(_ hub.Register, got hub.Registered) { online <- got }
	want := hub.Grant{Method: hub.MethodKey, Caps: "send"}
	listener.OnOffer = func(_ context.Context, o agent.Offer) agent.Answer {
		if o.From != alice.ID() || o.Request.Want != "send" {
			return agent.Answer{Decline: hub.CodeDenied}
		}
		a, _, err := o.Request.Accept(bob, o.Hub, o.From, want)
		if err != nil {
			t.Error(err)
		}
		return agent.Answer{Accept: a}
	}
	run(t, listener)
	if got := <-online; got.Code != "" {
		t.Fatalf("register: %q", got.Code)
	}
	dialer := agent.New(agent.Options{URL: h.pinned(t), Key: alice, Instance: hub.NewID()})
	run(t, dialer)
	stranger := newKey(t).ID()
	for _, tt := range []struct {
		to     string
		kind   hub.Kind
		want   proto.Caps
		expect identity.ID
		code   proto.Code
	}{
		{"bob", hub.KindPipe, proto.CapSend, bob.ID(), proto.OK},
		{bob.ID().String(), hub.KindPipe, proto.CapSend, bob.ID(), proto.OK},
		{"bob", hub.KindPipe, proto.CapRecv, bob.ID(), proto.Denied},
		{"bob", hub.KindTTY, proto.CapSend, bob.ID(), proto.Unreachable},
		{"carol", hub.KindPipe, proto.CapSend, bob.ID(), proto.Unreachable},
		{"bob", hub.KindPipe, proto.CapSend, stranger, proto.Identity},
	} {
		s, err := dialer.Request(t.Context(), agent.Ask{To: tt.to, Kind: tt.kind, Want: tt.want, Judge: func(_ context.Context, c agent.Claim) error {
			if c.Peer != tt.expect {
				return proto.Errorf(proto.Identity, "another peer")
			}
			return nil
		}})
		if got := proto.CodeOf(err); got != tt.code {
			t.Errorf("%s %s %s: got %v (%v), want %v", tt.to, tt.kind, tt.want, got, err, tt.code)
		} else if err == nil && (s.Grant.Method != want.Method || s.Grant.Caps != want.Caps || s.Peer != bob.ID()) {
			t.Errorf("%s: grant %+v of %s, want %+v of %s", tt.to, s.Grant, s.Peer, want, bob.ID())
		}
	}
}

// The checks before the upgrade. A page of a foreign site never gets a WebSocket.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	const origin = "https://hub.example"
	withURL := start(t, func(o *serve.Options) {
		u, err := hub.ParseURL("wss://hub.example")
		if err != nil {
			t.Fatal(err)
		}
		o.URLs = []hub.URL{u}
	})
	open := start(t, nil)
	nonce := "?n=" + strings.Repeat("ab", hub.ClientNonceBytes)
	for _, tt := range []struct {
		name              string
		hub               testHub
		path, host        string
		origin, protocols string
		header            int
		want              int
	}{
		{"foreign origin and host", open, "/ws" + nonce, "evil.test", "http://evil.test", hub.Subprotocol, 0, http.StatusForbidden},
		{"foreign origin", withURL, "/ws" + nonce, "hub.example", "https://evil.test", hub.Subprotocol, 0, http.StatusForbidden},
		{"own origin, foreign host", withURL, "/ws" + nonce, "evil.test", origin, hub.Subprotocol, 0, http.StatusMisdirectedRequest},
		{"foreign host", withURL, "/ws" + nonce, "evil.test", "", hub.Subprotocol, 0, http.StatusMisdirectedRequest},
		{"plain, a name that points here", open, "/ws" + nonce, "evil.test", "", hub.Subprotocol, 0, http.StatusMisdirectedRequest},
		{"no subprotocol", open, "/ws" + nonce, open.addr, "", "chat", 0, http.StatusBadRequest},
		{"no nonce", open, "/ws", open.addr, "", hub.Subprotocol, 0, http.StatusBadRequest},
		{"long headers", open, "/ws" + nonce, open.addr, "", hub.Subprotocol, 8 << 10, http.StatusRequestHeaderFieldsTooLarge},
		{"another path", open, "/", open.addr, "", hub.Subprotocol, 0, http.StatusNotFound},
		{"good", open, "/ws" + nonce, open.addr, "", hub.Subprotocol, 0, http.StatusSwitchingProtocols},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", tt.hub.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			r := httptest.NewRequest(http.MethodGet, tt.path, nil)
			r.Host = tt.host
			r.Header.Set("Connection", "Upgrade")
			r.Header.Set("Upgrade", "websocket")
			r.Header.Set("Sec-WebSocket-Version", "13")
			r.Header.Set("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
			r.Header.Set("Sec-WebSocket-Protocol", tt.protocols)
			if tt.origin != "" {
				r.Header.Set("Origin", tt.origin)
			}
			if tt.header > 0 {
				r.Header.Set("X-Long", strings.Repeat("a", tt.header))
			}
			var request bytes.Buffer
			if err := r.Write(&request); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write(request.Bytes()); err != nil {
				t.Fatal(err)
			}
			line := make([]byte, 12)
			if _, err := c.Read(line); err != nil {
				t.Fatal(err)
			}
			if got := string(line[len("HTTP/1.1 "):]); got != strconv.Itoa(tt.want) {
				t.Errorf("got status %s, want %d", got, tt.want)
			}
		})
	}
}
