package agent_test

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

// proofHub is a hub over TLS that proves its key for a binding of the test's choice. It sends
// each hello that it gets to the channel.
type proofHub struct {
	t      *testing.T
	key    *identity.Key
	addr   string
	names  func(connection []byte) []byte // the binding in its proof
	hellos chan hub.Hello
	before func(*websocket.Conn) // if it is set, runs before the welcome
	after  func(*websocket.Conn) // if it is set, runs after it
}

func openProofHub(t *testing.T, names func([]byte) []byte) *proofHub {
	t.Helper()
	h := &proofHub{t: t, key: xtest.NewKey(t), names: names, hellos: make(chan hub.Hello, 1)}
	cert, err := h.key.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
	s.StartTLS()
	t.Cleanup(s.Close)
	h.addr = s.Listener.Addr().String()
	return h
}

// ServeHTTP implements [http.Handler].
func (h *proofHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	nonce, _ := hex.DecodeString(r.URL.Query().Get("n"))
	binding, err := r.TLS.ExportKeyingMaterial(hub.ExporterLabel, nil, hub.BindingBytes)
	if err != nil {
		h.t.Error(err)
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{hub.Subprotocol}})
	if err != nil {
		return
	}
	defer ws.CloseNow()
	l := hub.Login{Origin: "wss://" + h.addr, Hub: h.key.ID(), ClientNonce: nonce, HubNonce: hub.NewNonce(hub.NonceBytes), Binding: h.names(binding)}
	send(ws, hub.TypeChallenge, &hub.Challenge{Hub: l.Hub, Nonce: l.HubNonce, Proof: l.Prove(h.key)})
	_, text, err := ws.Read(context.Background())
	if err != nil {
		return
	}
	var hello hub.Hello
	if e, err := hub.Decode(text, hub.MaxHelloBytes); err != nil || e.Read(&hello) != nil || !l.Check(&hello) {
		h.t.Error("the hello is not signed for the binding in the proof")
	}
	h.hellos <- hello
	if h.before != nil {
		h.before(ws)
	}
	send(ws, hub.TypeWelcome, &hub.Welcome{})
	if h.after != nil {
		h.after(ws)
	}
	_, _, _ = ws.Read(context.Background()) // until the client closes
}

// Where the URL has the hub's key, a proof that names no connection, or another one, is
// refused before anything is signed: something that ends TLS stands before the hub. With
// ",proxy" a proof that names none is taken, and the login names none either.
func TestProofOfConnection(t *testing.T) {
	t.Parallel()
	this := func(b []byte) []byte { return b }
	none := func([]byte) []byte { return make([]byte, hub.BindingBytes) }
	other := func(b []byte) []byte { return append([]byte{b[0] ^ 1}, b[1:]...) }
	for name, tt := range map[string]struct {
		names func([]byte) []byte
		proxy bool
		want  proto.Code
		bound bool
	}{
		"this connection":                {this, false, proto.OK, true},
		"no connection":                  {none, false, proto.Identity, false},
		"another connection":             {other, false, proto.Identity, false},
		"this connection, with proxy":    {this, true, proto.OK, true},
		"no connection, with proxy":      {none, true, proto.OK, false},
		"another connection, with proxy": {other, true, proto.Identity, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := openProofHub(t, tt.names)
			u := hub.URL{TLS: true, Host: h.addr, Key: h.key.ID(), Proxy: tt.proxy}
			c, err := agent.Dial(t.Context(), agent.Options{URL: u, Key: xtest.NewKey(t), Instance: hub.NewID()}, func(hub.Event) {})
			xtest.WantCode(t, "login", err, tt.want)
			if err != nil {
				if len(h.hellos) > 0 {
					t.Error("the node has logged in all the same")
				}
				return
			}
			defer c.Close()
			if hello := <-h.hellos; c.Bound != tt.bound || agent.Names(hello.Binding) != tt.bound {
				t.Errorf("got bound %v and the binding %x in the hello, want bound %v", c.Bound, hello.Binding, tt.bound)
			}
		})
	}
}

// A hub that sends its nodes elsewhere gets no login there.
func TestRedirect(t *testing.T) {
	t.Parallel()
	visits := make(chan string, 16)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { visits <- r.URL.String() }))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		s := httptest.NewServer(http.RedirectHandler(elsewhere.URL, status))
		t.Cleanup(s.Close)
		u := hub.URL{Host: s.Listener.Addr().String(), Key: xtest.NewKey(t).ID()}
		_, err := agent.Dial(t.Context(), agent.Options{URL: u, Key: xtest.NewKey(t), Instance: hub.NewID()}, func(hub.Event) {})
		xtest.WantCode(t, http.StatusText(status), err, proto.Unreachable)
	}
	if len(visits) > 0 {
		t.Errorf("got a request for %s at the other server, want none", <-visits)
	}
}

// A hub whose goaway names other hubs does not send its nodes there.
func TestGoAwayElsewhere(t *testing.T) {
	t.Parallel()
	h := &shortHub{code: hub.CloseRestart, goAway: &hub.GoAway{Hubs: []string{"wss://evil.example", "wss://203.0.113.7"}}}
	if waits := observe(t, h, 3); len(waits) != 3 {
		t.Errorf("got %d waits, want 3", len(waits))
	}
	for _, addr := range h.dialed {
		if addr != net.JoinHostPort("127.0.0.1", "1") {
			t.Errorf("the agent dials %s, want its own hub alone", addr)
		}
	}
}
