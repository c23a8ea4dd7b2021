package serve_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/hub/serve"
	"mesh/proto/identity"
)

// What a hostile client tries, over real sockets, and what comes of it.
func TestAbuse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"foreign host and origin over TLS", abuseHost},
		{"no TLS 1.3, HTTP/2 only", abuseTLS},
		{"one log line for a refused request", abuseLog},
		{"silent connections", abuseSilence},
		{"a crowd of silent connections", abuseCrowd},
		{"clients that stop", abuseStops},
		{"logins that are none", abuseNoLogin},
		{"a flood of refused requests", abuseRefused},
		{"headers", abuseHeaders},
		{"pings", abusePings},
		{"a queue of long events", abuseQueue},
		{"escapes in texts", abuseTexts},
		{"handshakes that stop", abuseHandshake},
		{"forged logins", abuseLogin},
		{"strangers, old invites", abuseMembership},
		{"removed while connected", abuseRemoved},
		{"names", abuseNames},
		{"sessions of others", abuseSessions},
		{"malformed requests", abuseRequests},
		{"floods", abuseFloods},
		{"malformed events", abuseEvents},
		{"a flood after the close", abuseClosed},
		{"large events", abuseSize},
		{"a reader that stops", abuseSlow},
		{"many connections of one node", abuseConnections},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(t)
		})
	}
}

// status asks for an upgrade over TLS and returns the HTTP status.
func (h testHub) status(t *testing.T, host, origin string) int {
	t.Helper()
	c, err := tls.Dial("tcp", h.addr, insecure())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /ws?n=%s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: %s\r\n",
		strings.Repeat("ab", hub.ClientNonceBytes), host, hub.Subprotocol)
	if origin != "" {
		fmt.Fprintf(c, "Origin: %s\r\n", origin)
	}
	_, _ = io.WriteString(c, "\r\n")
	got, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = got.Body.Close()
	return got.StatusCode
}

func withURLs(t *testing.T, texts ...string) func(*serve.Options) {
	return func(o *serve.Options) {
		for _, text := range texts {
			u, err := hub.ParseURL(text)
			if err != nil {
				t.Fatal(err)
			}
			o.URLs = append(o.URLs, u)
		}
	}
}

func abuseHost(t *testing.T) {
	named, open := start(t, withURLs(t, "wss://hub.example", "wss://alias.example:8443")), start(t, nil)
	for _, tt := range []struct {
		hub          testHub
		host, origin string
		want         int
	}{
		{named, "hub.example", "", http.StatusSwitchingProtocols},
		{named, "HUB.example:443", "", http.StatusSwitchingProtocols},
		{named, "alias.example:8443", "", http.StatusSwitchingProtocols},
		{named, "hub.example", "https://hub.example", http.StatusSwitchingProtocols},
		{named, "alias.example", "", http.StatusMisdirectedRequest},
		{named, "evil.test", "", http.StatusMisdirectedRequest},
		{named, named.addr, "", http.StatusMisdirectedRequest},
		{named, "evil.test", "https://hub.example", http.StatusMisdirectedRequest},
		{named, "hub.example", "https://evil.test", http.StatusForbidden},
		{named, "hub.example", "http://hub.example", http.StatusForbidden},
		{named, "hub.example", "null", http.StatusForbidden},
		{open, "any.example", "", http.StatusSwitchingProtocols},
		{open, "evil.test", "http://evil.test", http.StatusForbidden},
		{open, open.addr, "https://" + open.addr, http.StatusForbidden},
	} {
		if got := tt.hub.status(t, tt.host, tt.origin); got != tt.want {
			t.Errorf("host %s, origin %q: got %d, want %d", tt.host, tt.origin, got, tt.want)
		}
	}
}

func abuseTLS(t *testing.T) {
	h := start(t, nil)
	old := insecure()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	other := insecure()
	other.NextProtos = []string{"h2"}
	for what, config := range map[string]*tls.Config{"TLS 1.2": old, "HTTP/2": other} {
		c, err := tls.Dial("tcp", h.addr, config)
		if _, ok := errors.AsType[*net.OpError](err); !ok || !strings.Contains(err.Error(), "remote error: tls: ") {
			t.Errorf("%s: got %v, want an alert", what, err)
		}
		if err == nil {
			_ = c.Close()
		}
	}
}

// lines is a log that counts its lines.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements [io.Writer].
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func abuseLog(t *testing.T) {
	var log lines
	h := start(t, func(o *serve.Options) {
		withURLs(t, "wss://hub.example")(o)
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	h.status(t, "hub.example", "https://evil.test/\u202e")
	h.status(t, "evil.test", "")
	log.mu.Lock()
	defer log.mu.Unlock()
	if got := log.text.String(); strings.Count(got, "\n") != 2 || strings.ContainsAny(got, "\x1b\u202e") {
		t.Errorf("got the log %q, want two lines without controls", got)
	}
}

// Connections that say nothing hold 32 places of their source. A member behind the same
// address gets in, and so does one elsewhere.
func abuseSilence(t *testing.T) {
	h := start(t, patient)
	const silent, places = 60, 32
	var all []net.Conn
	for range silent {
		all = append(all, h.dialFrom(t, "127.0.0.2"))
	}
	gone := 0
	for end := time.Now().Add(30 * time.Second); gone < silent-places && time.Now().Before(end); {
		gone = closed(all, 100*time.Millisecond)
	}
	h.enter(t, h.member(t)) // from another source; the hub has taken all silent ones
	if gone = closed(all, 100*time.Millisecond); gone != silent-places {
		t.Errorf("%d silent connections are open, want %d", silent-gone, places)
	}
	member := h.member(t)
	for _, from := range []string{"127.0.0.2", "127.0.0.1"} {
		c, err := tls.DialWithDialer(&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}, "tcp", h.addr, insecure())
		if err != nil {
			t.Errorf("from %s: %v", from, err)
			continue
		}
		_ = c.Close()
	}
	h.enter(t, member)
}

// More handshakes than there are slots, each of which stops after its first bytes, keep
// nobody out: a slot is held while there is something to compute.
func abuseHandshake(t *testing.T) {
	h := start(t, patient)
	for i := range 80 {
		c := h.dialFrom(t, fmt.Sprintf("127.0.0.%d", 2+i/20))
		if _, err := c.Write([]byte{0x16, 3, 1, 2, 0, 1, 0}); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	h.enter(t, h.member(t))
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("the login took %v", took)
	}
}

// A login that is signed for something else gets one answer, whatever is wrong.
func abuseLogin(t *testing.T) {
	h, other := start(t, nil), start(t, nil)
	member := h.member(t)
	old := h.open(t)
	replayed := old.hello(member)
	old.send(hub.TypeHello, "", replayed)
	old.wait(hub.TypeWelcome)
	for name, forge := range map[string]func(c *hostile) any{
		"replayed": func(*hostile) any { return replayed },
		"replayed, with this binding": func(c *hostile) any {
			r := *replayed
			r.Binding = c.login.Binding
			return &r
		},
		"another origin": func(c *hostile) any {
			c.login.Origin = "wss://evil.test:443"
			return c.hello(member)
		},
		"another hub": func(c *hostile) any {
			c.login.Hub = other.key.ID()
			return c.hello(member)
		},
		"another nonce": func(c *hostile) any {
			c.login.HubNonce = hub.NewNonce(hub.NonceBytes)
			return c.hello(member)
		},
		"another instance": func(c *hostile) any {
			hello := c.hello(member)
			hello.Instance = hub.NewID()
			return hello
		},
		"another binding": func(c *hostile) any {
			c.login.Binding = hub.NewNonce(hub.BindingBytes)
			return c.hello(member)
		},
		"states another binding": func(c *hostile) any {
			hello := c.hello(member)
			hello.Binding = make([]byte, hub.BindingBytes)
			return hello
		},
		"a binding of zeros": func(c *hostile) any {
			c.login.Binding = make([]byte, hub.BindingBytes)
			return c.hello(member)
		},
		"another node's name on it": func(c *hostile) any {
			hello := c.hello(newKey(t))
			hello.Node = member.ID()
			return hello
		},
		"no hello":  func(*hostile) any { return map[string]any{"node": member.ID()} },
		"no object": func(*hostile) any { return []int{1} },
	} {
		c := h.open(t)
		c.send(hub.TypeHello, "", forge(c))
		if got, why := c.closedWith(); got != hub.CloseBadLogin || why != "login refused" {
			t.Errorf("%s: closed with %d %q, want %d and the same words for all", name, got, why, hub.CloseBadLogin)
		}
	}
	c := h.open(t)
	c.send(hub.TypeLookup, "1", map[string]any{"peer": "bob"})
	if got := c.closed(); got != hub.CloseBadLogin {
		t.Errorf("another event first: closed with %d, want %d", got, hub.CloseBadLogin)
	}
}

// makeInvite adds an invite to the hub.
func (h testHub) makeInvite(t *testing.T, uses int) hub.Invite {
	t.Helper()
	i := hub.NewInvite(h.pinned(t), time.Now().Add(time.Hour))
	if err := h.broker.AddInvite("admin", broker.Invite{Key: i.Key(), Expires: i.Expires, Uses: uses}); err != nil {
		t.Fatal(err)
	}
	return i
}

// join logs in with an invite, and returns the code with which the hub closes the
// connection; 0 if it logs the node in.
func (h testHub) join(t *testing.T, node *identity.Key, i *hub.Invite, forge func(*hub.Join)) int {
	t.Helper()
	c := h.open(t)
	hello := c.hello(node)
	if i != nil {
		hello.Invite = c.login.SignJoin(*i, node.ID())
		if forge != nil {
			forge(hello.Invite)
		}
	}
	c.send(hub.TypeHello, "", hello)
	e, err := c.next()
	switch {
	case err != nil:
		return int(websocket.CloseStatus(err))
	case e.Type != hub.TypeWelcome:
		t.Fatalf("got %s", e.Type)
	}
	return 0
}

func abuseMembership(t *testing.T) {
	h := start(t, nil)
	stranger, guest := newKey(t), newKey(t)
	i, unknown := h.makeInvite(t, 5), hub.NewInvite(h.pinned(t), time.Now().Add(time.Hour))
	expect := func(what string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s: closed with %d, want %d", what, got, want)
		}
	}
	expect("a stranger", h.join(t, stranger, nil, nil), hub.CloseNoMember)
	expect("an invite that the hub did not make", h.join(t, stranger, &unknown, nil), hub.CloseNoMember)
	expect("the public half alone", h.join(t, stranger, &unknown, func(j *hub.Join) { j.Key = i.Key() }), hub.CloseNoMember)
	expect("an invite", h.join(t, guest, &i, nil), 0)
	if err := h.broker.RemoveMember("admin", guest.ID()); err != nil {
		t.Fatal(err)
	}
	expect("a removed member", h.join(t, guest, nil, nil), hub.CloseNoMember)
	expect("a removed member with its invite", h.join(t, guest, &i, nil), hub.CloseNoMember)
	expect("a new key with the invite of a removed member", h.join(t, newKey(t), &i, nil), hub.CloseNoMember)
}

// A member that is removed, and one that is banned, is disconnected within 2 s.
func abuseRemoved(t *testing.T) {
	h := start(t, nil)
	for what, out := range map[string]func(identity.ID) error{
		"removed": func(id identity.ID) error { return h.broker.RemoveMember("admin", id) },
		"banned":  func(id identity.ID) error { return h.broker.AddBan("admin", id.String()) },
	} {
		k := h.member(t)
		c := h.enter(t, k)
		begun := time.Now()
		if err := out(k.ID()); err != nil {
			t.Fatal(err)
		}
		if got := c.closed(); got != hub.CloseNoMember || time.Since(begun) > 2*time.Second {
			t.Errorf("%s: closed with %d after %v, want %d within 2s", what, got, time.Since(begun), hub.CloseNoMember)
		}
	}
}

func register(name string, lasting bool) map[string]any {
	return map[string]any{"name": name, "kinds": []string{"pipe"}, "lasting": lasting}
}

func abuseNames(t *testing.T) {
	h := start(t, nil)
	alice, mallory := h.enter(t, h.member(t)), h.enter(t, h.member(t))
	if got := alice.ask(hub.TypeRegister, register("alice", true)); got != "" {
		t.Fatalf("register: %s", got)
	}
	for name, want := range map[string]string{
		"alice": hub.CodeTaken, "a1ice": "", "Alice": hub.CodeBadName, "7-guitar-crossover-lunar": hub.CodeBadName,
		strings.Repeat("ａ", 63): hub.CodeBadName, "": "", strings.Repeat("a", 64): hub.CodeBadName,
		"mk1abc": hub.CodeBadName, "a\x1b[31m\nb": hub.CodeBadName, "\u202eecila": hub.CodeBadName,
	} {
		if got := mallory.ask(hub.TypeRegister, register(name, true)); got != want {
			t.Errorf("register %q: got %q, want %q", name, got, want)
		}
	}
	if got := mallory.ask(hub.TypeRelease, map[string]any{"name": "alice"}); got != hub.CodeDenied {
		t.Errorf("release: got %q, want %q", got, hub.CodeDenied)
	}
	for i := range hub.MaxNames + 2 { // one of its names is there
		want := ""
		if i >= hub.MaxNames-1 {
			want = hub.CodeLimit
		}
		if got := mallory.ask(hub.TypeRegister, register(fmt.Sprintf("name%d", i), true)); got != want {
			t.Errorf("name %d: got %q, want %q", i, got, want)
		}
	}
}

// Nobody but its two ends can do anything with a session; nor is it told that there is
// one.
func abuseSessions(t *testing.T) {
	h := start(t, nil)
	alice, bob, mallory := h.enter(t, h.member(t)), h.enter(t, h.member(t)), h.enter(t, h.member(t))
	bob.ask(hub.TypeRegister, register("bob", false))
	r := alice.request("bob")
	forged := map[string]any{"type": hub.TypeRequest, "id": "f", "from": mallory.node.ID(), "name": "mallory", "data": r}
	text, err := jsonText(forged)
	if err != nil {
		t.Fatal(err)
	}
	alice.raw(text)
	var offer hub.Offer
	e := bob.wait(hub.TypeOffer)
	if err := e.Read(&offer); err != nil || e.From != alice.node.ID() || e.Name != "" {
		t.Fatalf("offer from %s, name %q (%v), want that of the connection", e.From.Short(), e.Name, err)
	}
	accept, _, err := offer.Request.Accept(bob.node, h.key.ID(), alice.node.ID(), hub.Grant{Method: hub.MethodKey, Caps: "send"})
	if err != nil {
		t.Fatal(err)
	}
	mallory.lastID = 100
	for _, tt := range []struct {
		typ  string
		data any
	}{
		{hub.TypeAccept, accept},
		{hub.TypeDecline, &hub.Decline{Session: r.Session, Code: hub.CodeDenied}},
		{hub.TypePending, &hub.SessionRef{Session: r.Session}},
		{hub.TypeCancel, &hub.SessionRef{Session: r.Session}},
		{hub.TypeCandidates, &hub.Candidates{Session: r.Session, Gen: 1, Sealed: make([]byte, 64)}},
		{hub.TypeClosed, &hub.Closed{Session: r.Session, Reason: "done"}},
	} {
		want := hub.CodeNotFound
		if tt.typ == hub.TypeAccept {
			want = hub.CodeGone
		}
		if got := mallory.ask(tt.typ, tt.data); got != want {
			t.Errorf("%s: got %q, want %q", tt.typ, got, want)
		}
		if got := mallory.ask(tt.typ, replaceSession(t, tt.data)); got != want {
			t.Errorf("%s for a session that does not exist: got %q, want %q", tt.typ, got, want)
		}
	}
	stolen := mallory.request("bob")
	stolen.Session = r.Session
	stolen.Sign(mallory.node, h.key.ID())
	if got := mallory.ask(hub.TypeRequest, stolen); got != hub.CodeBadEvent {
		t.Errorf("a live session id of others: got %q, want %q", got, hub.CodeBadEvent)
	}
	if got := bob.ask(hub.TypeAccept, accept); got != "" {
		t.Errorf("the listener's own accept: got %q", got)
	}
	alice.wait(hub.TypeCreated)
}

func abuseRequests(t *testing.T) {
	h := start(t, nil)
	alice, bob := h.enter(t, h.member(t)), h.enter(t, h.member(t))
	bob.ask(hub.TypeRegister, register("bob", false))
	for what, edit := range map[string]func(*hub.Request){
		"no HPKE key":           func(r *hub.Request) { r.Seal = nil },
		"an HPKE key of X25519": func(r *hub.Request) { r.Seal = r.Seal[:32] },
		"no signature":          func(r *hub.Request) { r.Sig = nil },
		"no session":            func(r *hub.Request) { r.Session = hub.ID{} },
		"a kind in capitals":    func(r *hub.Request) { r.Kind = "PIPE" },
		"a long wait":           func(r *hub.Request) { r.AnswerS = 3600 },
		"many vouchers":         func(r *hub.Request) { r.Vouchers = make([]string, hub.MaxVouchers+1) },
	} {
		r := alice.request("bob")
		edit(r)
		if got := alice.ask(hub.TypeRequest, r); got != hub.CodeBadEvent {
			t.Errorf("%s: got %q, want %q", what, got, hub.CodeBadEvent)
		}
	}
	r := alice.request("bob")
	if got := alice.ask(hub.TypeRequest, r); got != "" {
		t.Fatalf("a request: got %q", got)
	}
	bob.wait(hub.TypeOffer)
	for _, tt := range []struct {
		size int
		want string
	}{{hub.MaxSealedBytes + 1, hub.CodeTooLarge}, {hub.MaxSealedBytes, ""}} {
		accept := &hub.Accept{Session: r.Session, Sealed: make([]byte, tt.size), Sig: make([]byte, hub.SignatureBytes)}
		if got := bob.ask(hub.TypeAccept, accept); got != tt.want {
			t.Errorf("an accept with %d bytes sealed: got %q, want %q", tt.size, got, tt.want)
		}
	}
	alice.wait(hub.TypeCreated)
}

// A member that floods is told so, reaches its listener at its rate only, and is
// disconnected in the end.
func abuseFloods(t *testing.T) {
	h := startOf(t, standing(), nil)
	bob := h.enter(t, h.member(t))
	bob.ask(hub.TypeRegister, register("bob", false))
	request := bob.request("bob")
	for what, event := range map[string]func(c *hostile) (string, any){
		"requests": func(c *hostile) (string, any) { return hub.TypeRequest, c.again(request) },
		"lookups":  func(*hostile) (string, any) { return hub.TypeLookup, map[string]any{"peer": "bob"} },
		"watches":  func(*hostile) (string, any) { return hub.TypeWatch, map[string]any{"peer": "bob", "kind": "pipe"} },
		"nonsense": func(*hostile) (string, any) { return "system.nonsense", nil },
	} {
		c := h.enter(t, h.member(t))
		var flood [1000]string // made before, so that nothing slows it
		for i := range flood {
			typ, data := event(c)
			text, err := jsonText(map[string]any{"type": typ, "id": fmt.Sprint(i), "data": data})
			if err != nil {
				t.Fatal(err)
			}
			flood[i] = text
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, text := range flood {
				if c.ws.Write(context.Background(), websocket.MessageText, []byte(text)) != nil {
					return
				}
			}
		})
		if got := c.closed(); got != hub.CloseTooSlow {
			t.Errorf("%s: closed with %d, want %d", what, got, hub.CloseTooSlow)
		}
		wg.Wait()
	}
	if got := bob.ask(hub.TypeLookup, map[string]any{"peer": "bob"}); got != "" {
		t.Errorf("the listener is disturbed: %q", got)
	}
}

// A client that sends on after the hub has closed its connection is cut off 2 s later, with
// no goroutine for what it sends.
func abuseClosed(t *testing.T) {
	h := start(t, nil)
	c := h.enter(t, h.member(t))
	began := time.Now()
	for ctx := t.Context(); c.ws.Write(ctx, websocket.MessageText, []byte("nonsense")) == nil; {
		if took := time.Since(began); took > 20*time.Second {
			t.Fatalf("the hub still reads after %v", took)
		}
	}
	// After 5 s the library would close it, and start goroutines until it has.
	if took, limit := time.Since(began), 4500*time.Millisecond; took > limit {
		t.Errorf("the connection was cut off after %v, want at most %v", took, limit)
	}
}

func abuseEvents(t *testing.T) {
	h := start(t, nil)
	k := h.member(t)
	for what, text := range map[string]string{
		"deep":             strings.Repeat(`{"a":`, 9) + "1" + strings.Repeat("}", 9),
		"a name twice":     `{"type":"system.lookup","type":"system.lookup","id":"1"}`,
		"another case":     `{"TYPE":"system.lookup","id":"1"}`,
		"invalid UTF-8":    "{\"type\":\"system.lookup\",\"id\":\"1\",\"data\":{\"peer\":\"\xff\"}}",
		"no JSON":          `hello`,
		"two objects":      `{"type":"system.lookup"}{"type":"system.lookup"}`,
		"an array":         `[]`,
		"a number":         `1e400`,
		"unknown prefix":   `{"type":"admin.drain","id":"1"}`,
		"a long id":        `{"type":"system.lookup","id":"` + strings.Repeat("1", 33) + `"}`,
		"an id with space": `{"type":"system.lookup","id":"1 2"}`,
	} {
		c := h.enter(t, k)
		for range 3 {
			c.raw(text)
			e := c.wait(hub.TypeError)
			var got hub.Error
			if err := e.Read(&got); err != nil || got.Code != hub.CodeBadEvent {
				t.Errorf("%s: got %+v (%v), want %s", what, got, err, hub.CodeBadEvent)
			}
			if strings.Contains(what, "UTF-8") {
				break // a text message that is no UTF-8 may end the connection (RFC 6455, section 8.1)
			}
		}
		if strings.Contains(what, "UTF-8") {
			continue
		}
		if got := c.closed(); got != hub.CloseBadEvent {
			t.Errorf("%s: closed with %d, want %d", what, got, hub.CloseBadEvent)
		}
	}
	c := h.enter(t, k)
	for what, data := range map[string]string{
		"a huge number": `{"peer":1e400}`, "a list": `[]`, "null": `null`, "a name twice": `{"peer":"a","peer":"a"}`, "another case": `{"Peer":"a"}`,
	} {
		c.raw(`{"type":"system.lookup","id":"d","data":` + data + `}`)
		var got hub.Error
		if e := c.wait(hub.TypeError); e.Read(&got) != nil || got.Code != hub.CodeBadEvent {
			t.Errorf("data with %s: got %+v, want %s", what, got, hub.CodeBadEvent)
		}
	}
	if err := c.ws.Write(t.Context(), websocket.MessageBinary, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if got := c.closed(); got != hub.CloseBadEvent {
		t.Errorf("a binary message: closed with %d, want %d", got, hub.CloseBadEvent)
	}
}

// What is too large ends the connection before it is read.
func abuseSize(t *testing.T) {
	h := start(t, nil)
	k := h.member(t)
	pad := func(n int) string {
		text := `{"type":"system.lookup","id":"1","data":{"peer":"bob","pad":""}}`
		return strings.Replace(text, `"pad":""`, `"pad":"`+strings.Repeat("x", n-len(text))+`"`, 1)
	}
	c := h.enter(t, k)
	c.raw(pad(hub.MaxEventBytes))
	c.wait(hub.TypeError) // not_found: it was read
	c.raw(pad(hub.MaxEventBytes + 1))
	if got := c.closed(); got != int(websocket.StatusMessageTooBig) {
		t.Errorf("an event of 64 KiB + 1: closed with %d, want %d", got, websocket.StatusMessageTooBig)
	}
	c = h.open(t)
	hello, err := jsonText(map[string]any{"type": hub.TypeHello, "data": c.hello(k)})
	if err != nil {
		t.Fatal(err)
	}
	c.raw(hello + strings.Repeat(" ", hub.MaxHelloBytes-len(hello)))
	c.wait(hub.TypeWelcome)
	c = h.open(t)
	c.raw(pad(hub.MaxHelloBytes + 1))
	if got := c.closed(); got != int(websocket.StatusMessageTooBig) && got != hub.CloseBadLogin {
		t.Errorf("a hello of 8 KiB + 1: closed with %d", got)
	}
}

// stoppable is a listener whose connections can stop to take writes, as when the client
// reads nothing.
type stoppable struct {
	net.Listener
	mu    sync.Mutex
	conns map[string]*stopped // by the address of the client
}

// stopped is a connection whose writes wait while it is held.
type stopped struct {
	net.Conn
	held sync.RWMutex
}

// Accept implements [net.Listener].
func (s *stoppable) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := &stopped{Conn: c}
	s.conns[c.RemoteAddr().String()] = one
	return one, nil
}

// Write implements [net.Conn].
func (s *stopped) Write(p []byte) (int, error) {
	s.held.RLock()
	defer s.held.RUnlock()
	return s.Conn.Write(p)
}

// A client that reads nothing is disconnected when 64 events wait for it, and nobody else
// waits meanwhile.
func abuseSlow(t *testing.T) {
	s := &stoppable{conns: make(map[string]*stopped)}
	h := startOn(t, nil, func(l net.Listener) net.Listener {
		s.Listener = l
		return s
	})
	bobs := []*hostile{h.enter(t, h.member(t)), h.enter(t, h.member(t))}
	slow := h.enter(t, h.member(t))
	for i, b := range bobs {
		name := fmt.Sprintf("bob%d", i)
		if got := b.ask(hub.TypeRegister, register(name, false)); got != "" {
			t.Fatal(got)
		}
		if got := slow.ask(hub.TypeWatch, map[string]any{"peer": name, "kind": "pipe"}); got != "" {
			t.Fatal(got)
		}
	}
	s.mu.Lock()
	conn := s.conns[slow.local]
	s.mu.Unlock()
	conn.held.Lock()
	for range 50 { // 100 events for the slow client
		for i, b := range bobs {
			begun := time.Now()
			if got := b.ask(hub.TypeRegister, register(fmt.Sprintf("bob%d", i), false)); got != "" {
				t.Fatal(got)
			}
			if took := time.Since(begun); took > 3*time.Second {
				t.Fatalf("another client waited %v", took)
			}
		}
	}
	conn.held.Unlock()
	if got := slow.closed(); got != hub.CloseTooSlow {
		t.Errorf("closed with %d, want %d", got, hub.CloseTooSlow)
	}
}

func abuseConnections(t *testing.T) {
	h := start(t, nil)
	k := h.member(t)
	for range broker.MaxNodeConns {
		h.enter(t, k)
	}
	if got := h.join(t, k, nil, nil); got != hub.CloseFull {
		t.Errorf("one more: closed with %d, want %d", got, hub.CloseFull)
	}
	few := start(t, func(o *serve.Options) { o.Max = 2 })
	for range 2 {
		few.enter(t, few.member(t))
	}
	ws, _, err := websocket.Dial(t.Context(), "wss://"+few.addr+"/ws?n="+hex.EncodeToString(hub.NewNonce(hub.ClientNonceBytes)), &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: insecure()}}, Subprotocols: []string{hub.Subprotocol},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != hub.CloseFull {
		t.Errorf("a full hub: got %v, want close %d", err, hub.CloseFull)
	}
}
