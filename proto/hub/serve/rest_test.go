package serve_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/hub/serve"
	"mesh/proto/identity"
)

// setAdmin makes a member an admin.
func (h testHub) setAdmin(t *testing.T, k *identity.Key) {
	t.Helper()
	a, err := broker.ParseAccess("admin " + k.ID().String())
	if err != nil {
		t.Fatal(err)
	}
	h.broker.SetAccess(a)
}

// apiToken logs a node in and returns an API token of it.
func (h testHub) apiToken(t *testing.T, k *identity.Key, n hub.NewToken) string {
	t.Helper()
	return h.enter(t, k).apiToken(n)
}

func (c *hostile) apiToken(n hub.NewToken) string {
	c.t.Helper()
	c.send(hub.TypeToken, "token", n)
	var made hub.TokenMade
	if err := c.wait(hub.TypeToken).Read(&made); err != nil {
		c.t.Fatal(err)
	}
	return made.Token
}

// reply is an answer of the API.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) problem() (p serve.Problem) {
	_ = json.Unmarshal(r.body, &p) // else no code
	return p
}

// request sends a request over the network. Header are lines "Name: value".
func (h testHub) request(t *testing.T, method, path, token string, body io.Reader, header ...string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "https://"+h.addr+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Add(name, value)
	}
	client := http.Client{
		Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: insecure(), DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	got, err := client.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return reply{got.StatusCode, got.Header, text}
}

const jsonType = "Content-Type: application/json"

// Each way to send a wrong request, with the status and the code of its answer.
func TestHostileREST(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	named := start(t, func(o *serve.Options) { o.URLs = []hub.URL{h.url(t, "wss://hub.example/mesh")} })
	admin, member := h.member(t), h.member(t)
	h.setAdmin(t, admin)
	full, some := h.apiToken(t, admin, hub.NewToken{}), h.apiToken(t, member, hub.NewToken{})
	self := h.apiToken(t, member, hub.NewToken{Scopes: []hub.Scope{hub.ScopeSelf}})
	node := newKey(t).ID().String()
	forged := full[:len(full)-10] + "aaaaaaaaaa"
	invite := `{"key":"` + node + `","uses":1,"expires":"` + time.Now().Add(time.Hour).Format(time.RFC3339) + `"}`
	for _, tt := range []struct {
		what         string
		hub          testHub
		method, path string
		token, body  string
		header       []string
		status       int
		code         string
	}{
		{"no token", h, "GET", "/api/v1/whoami", "", "", nil, 401, hub.CodeBadToken},
		{"forged token", h, "GET", "/api/v1/whoami", forged, "", nil, 401, hub.CodeBadToken},
		{"token of another hub", named, "GET", "/api/v1/whoami", full, "", []string{"Host: hub.example"}, 401, hub.CodeBadToken},
		{"password", h, "GET", "/api/v1/whoami", "", "", []string{"Authorization: Basic cm9vdDpyb290"}, 401, hub.CodeBadToken},
		{"two tokens", h, "GET", "/api/v1/whoami", full, "", []string{"Authorization: Bearer " + some}, 401, hub.CodeBadToken},
		{"token in the query", h, "GET", "/api/v1/whoami?token=" + full, "", "", nil, 401, hub.CodeBadToken},
		{"token in a cookie", h, "GET", "/api/v1/whoami", "", "", []string{"Cookie: token=" + full}, 401, hub.CodeBadToken},
		{"a member's whoami", h, "GET", "/api/v1/whoami", some, "", nil, 200, ""},
		{"a member reads members", h, "GET", "/api/v1/members", some, "", nil, 403, hub.CodeDenied},
		{"a member drains", h, "POST", "/api/v1/drain", some, "", nil, 403, hub.CodeDenied},
		{"a member bans", h, "PUT", "/api/v1/bans/" + node, some, "", nil, 403, hub.CodeDenied},
		{"a member invites", h, "POST", "/api/v1/invites", some, invite, []string{jsonType}, 403, hub.CodeDenied},
		{"a member exports", h, "GET", "/api/v1/export", some, "", nil, 403, hub.CodeDenied},
		{"self reads peers", h, "GET", "/api/v1/peers", self, "", nil, 403, hub.CodeDenied},
		{"self reads sessions", h, "GET", "/api/v1/sessions", self, "", nil, 200, ""},
		{"nothing there", h, "GET", "/api/v1/nothing", full, "", nil, 404, hub.CodeNotFound},
		{"nothing at the root", h, "GET", "/", "", "", nil, 404, hub.CodeNotFound},
		{"no such version", h, "GET", "/api/v2/whoami", full, "", nil, 404, hub.CodeNotFound},
		{"a path to clean", h, "GET", "/api/v1//whoami", full, "", nil, 404, hub.CodeNotFound},
		{"a path with dots", h, "GET", "/api/v1/peers/../whoami", full, "", nil, 404, hub.CodeNotFound},
		{"dots in disguise", h, "GET", "/api/v1/peers/%2e%2e%2fwhoami", full, "", nil, 404, hub.CodeNotFound},
		{"a slash at the end", h, "GET", "/api/v1/whoami/", full, "", nil, 404, hub.CodeNotFound},
		{"no such peer", h, "GET", "/api/v1/peers/eve", full, "", nil, 404, hub.CodeNotFound},
		{"a peer of a wrong id", h, "GET", "/api/v1/peers/mk1x", full, "", nil, 400, hub.CodeBadEvent},
		{"wrong method", h, "POST", "/api/v1/whoami", full, "", nil, 405, hub.CodeBadMethod},
		{"CORS preflight", h, "OPTIONS", "/api/v1/whoami", "", "", []string{"Access-Control-Request-Method: GET"}, 405, hub.CodeBadMethod},
		{"TRACE", h, "TRACE", "/api/v1/whoami", full, "", nil, 405, hub.CodeBadMethod},
		{"foreign origin", h, "GET", "/api/v1/whoami", full, "", []string{"Origin: https://evil.test"}, 403, hub.CodeBadOrigin},
		{"foreign origin, public", h, "GET", "/openapi.json", "", "", []string{"Origin: https://evil.test"}, 403, hub.CodeBadOrigin},
		{"foreign host", named, "GET", "/openapi.json", "", "", []string{"Host: evil.test"}, 421, hub.CodeMisdirect},
		{"a probe by address", named, "GET", "/readyz", "", "", nil, 200, ""},
		{"below the hub's path", named, "GET", "/mesh/openapi.json", "", "", []string{"Host: hub.example"}, 200, ""},
		{"the path is taken away", named, "GET", "/openapi.json", "", "", []string{"Host: hub.example"}, 200, ""},
		{"half the path", named, "GET", "/meshopenapi.json", "", "", []string{"Host: hub.example"}, 404, hub.CodeNotFound},
		{"long headers", h, "GET", "/api/v1/whoami", full, "", []string{"X: " + strings.Repeat("x", 8<<10)}, 431, hub.CodeHeaders},
		{"unknown query", h, "GET", "/api/v1/peers?q=1", full, "", nil, 400, hub.CodeBadEvent},
		{"query twice", h, "GET", "/api/v1/peers?limit=1&limit=2", full, "", nil, 400, hub.CodeBadEvent},
		{"query with semicolon", h, "GET", "/api/v1/peers?limit=1;x=2", full, "", nil, 400, hub.CodeBadEvent},
		{"limit 0", h, "GET", "/api/v1/peers?limit=0", full, "", nil, 400, hub.CodeBadEvent},
		{"limit 500", h, "GET", "/api/v1/peers?limit=500", full, "", nil, 200, ""},
		{"limit 501", h, "GET", "/api/v1/peers?limit=501", full, "", nil, 400, hub.CodeBadEvent},
		{"after of no answer", h, "GET", "/api/v1/peers?after=%00", full, "", nil, 400, hub.CodeBadEvent},
		{"kind of no peer", h, "GET", "/api/v1/peers?kind=ping", full, "", nil, 400, hub.CodeBadEvent},
		{"online maybe", h, "GET", "/api/v1/peers?online=1", full, "", nil, 400, hub.CodeBadEvent},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			got := tt.hub.request(t, tt.method, tt.path, tt.token, strings.NewReader(tt.body), tt.header...)
			checkReply(t, got, tt.status, tt.code)
		})
	}
}

// checkReply checks status and code, and the headers that every answer must have or lack.
func checkReply(t *testing.T, got reply, status int, code string) {
	t.Helper()
	p := got.problem()
	if got.status != status || code != "" && (p.Code != code || p.Status != status || p.Type != "/problems/"+code || p.Title != http.StatusText(status) || p.Detail == "") {
		t.Errorf("got %d %s, want %d and %q", got.status, got.body, status, code)
	}
	if kind := got.header.Get("Content-Type"); code != "" && kind != "application/problem+json" {
		t.Errorf("got a problem of type %q", kind)
	}
	if status == 401 && got.header.Get("WWW-Authenticate") == "" || status == 405 && got.header.Get("Allow") == "" {
		t.Errorf("a header is absent: %v", got.header)
	}
	for name := range got.header {
		if name == "Set-Cookie" || name == "Location" || strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("the answer has %s", name)
		}
	}
}

// Bodies that are not what the path takes.
func TestHostileBody(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	admin := h.member(t)
	h.setAdmin(t, admin)
	token := h.apiToken(t, admin, hub.NewToken{})
	path := "/api/v1/members/" + newKey(t).ID().String()
	for _, tt := range []struct {
		what, kind, body string
		status           int
		code             string
	}{
		{"good", "application/json", `{}`, 204, ""},
		{"good, with a character set", "application/json; charset=utf-8", `{"until":"2099-01-01T00:00:00Z"}`, 204, ""},
		{"no type", "", `{}`, 415, hub.CodeBadType},
		{"a form, which any page can send", "application/x-www-form-urlencoded", `{}`, 415, hub.CodeBadType},
		{"text", "text/plain", `{}`, 415, hub.CodeBadType},
		{"nothing", "application/json", ``, 400, hub.CodeBadEvent},
		{"a list", "application/json", `[]`, 400, hub.CodeBadEvent},
		{"unknown member", "application/json", `{"admin":true}`, 400, hub.CodeBadEvent},
		{"another case", "application/json", `{"Until":"2099-01-01T00:00:00Z"}`, 400, hub.CodeBadEvent},
		{"twice", "application/json", `{"until":"2099-01-01T00:00:00Z","until":"2099-01-01T00:00:00Z"}`, 400, hub.CodeBadEvent},
		{"cut", "application/json", `{"until":"2099-01`, 400, hub.CodeBadEvent},
		{"two objects", "application/json", `{}{}`, 400, hub.CodeBadEvent},
		{"a number of 10^400", "application/json", `{"until":1e400}`, 400, hub.CodeBadEvent},
		{"no UTF-8", "application/json", "{\"until\":\"\xff\"}", 400, hub.CodeBadEvent},
		{"deep", "application/json", strings.Repeat(`{"until":`, 5000), 400, hub.CodeBadEvent},
		{"64 KiB", "application/json", `{}` + strings.Repeat(" ", 64<<10-2), 204, ""},
		{"64 KiB and a byte", "application/json", `{}` + strings.Repeat(" ", 64<<10-1), 413, hub.CodeTooLarge},
		{"a megabyte", "application/json", strings.Repeat(" ", 1<<20), 413, hub.CodeTooLarge},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			var header []string
			if tt.kind != "" {
				header = []string{"Content-Type: " + tt.kind}
			}
			checkReply(t, h.request(t, "PUT", path, token, io.MultiReader(strings.NewReader(tt.body)), header...), tt.status, tt.code)
		})
	}
}

// More than a burst of 40 is 429 with Retry-After; a removed member's token is worth
// nothing at once.
func TestRESTRate(t *testing.T) {
	t.Parallel()
	h := startOf(t, standing(), nil)
	k := h.member(t)
	token := h.apiToken(t, k, hub.NewToken{})
	for range 40 {
		checkReply(t, h.request(t, "GET", "/api/v1/whoami", token, nil), 200, "")
	}
	last := h.request(t, "GET", "/api/v1/whoami", token, nil)
	checkReply(t, last, 429, hub.CodeRateLimited)
	if after := last.header.Get("Retry-After"); after != "1" || last.problem().RetryAfterS != 1 {
		t.Errorf("got Retry-After %q and %d, want 1", after, last.problem().RetryAfterS)
	}
	other := h.member(t)
	token = h.apiToken(t, other, hub.NewToken{})
	if err := h.broker.RemoveMember("admin", other.ID()); err != nil {
		t.Fatal(err)
	}
	checkReply(t, h.request(t, "GET", "/api/v1/whoami", token, nil), 403, hub.CodeNotMember)
}

// A node changes what is its own, and does not learn what is another's.
func TestRESTOwn(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	alice, bob := h.enter(t, h.member(t)), h.enter(t, h.member(t))
	for name, c := range map[string]*hostile{"alice": alice, "bob": bob} {
		if code := c.ask(hub.TypeRegister, hub.Register{Name: name, Kinds: []hub.Kind{hub.KindPipe}, Lasting: true}); code != "" {
			t.Fatalf("register %s: %s", name, code)
		}
	}
	mine, theirs := alice.apiToken(hub.NewToken{}), bob.apiToken(hub.NewToken{})
	checkReply(t, h.request(t, "DELETE", "/api/v1/names/bob", mine, nil), 403, hub.CodeDenied)
	checkReply(t, h.request(t, "DELETE", "/api/v1/names/alice", mine, nil), 204, "")
	checkReply(t, h.request(t, "DELETE", "/api/v1/names/alice", mine, nil), 404, hub.CodeNotFound)

	r := hub.Request{Session: hub.NewID(), To: "bob", Kind: hub.KindPipe, Want: "send", Seal: make([]byte, hub.SealKeyBytes)}
	r.Sign(alice.node, h.key.ID())
	if code := alice.ask(hub.TypeRequest, &r); code != "" {
		t.Fatal(code)
	}
	carol := h.enter(t, h.member(t)).apiToken(hub.NewToken{})
	path := "/api/v1/sessions/" + r.Session.String()
	for who, want := range map[string]int{mine: 1, theirs: 1, carol: 0} {
		var l serve.List[broker.SessionState]
		if err := json.Unmarshal(h.request(t, "GET", "/api/v1/sessions", who, nil).body, &l); err != nil || len(l.Items) != want {
			t.Errorf("got %d sessions (%v), want %d", len(l.Items), err, want)
		}
	}
	checkReply(t, h.request(t, "DELETE", path, carol, nil), 404, hub.CodeNotFound)
	checkReply(t, h.request(t, "DELETE", path, theirs, nil), 204, "")
	alice.wait(hub.TypeDeclined)
}

// The pages of a list have each element once, whatever the limit.
func TestRESTPages(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	var want []string
	for i := range 4 {
		c := h.enter(t, h.member(t))
		for j := range 8 {
			name := fmt.Sprintf("name%d%d", i, j)
			want = append(want, name)
			if code := c.ask(hub.TypeRegister, hub.Register{Name: name, Kinds: []hub.Kind{hub.KindPipe}, Lasting: true}); code != "" {
				t.Fatal(code)
			}
		}
	}
	h.enter(t, h.member(t)) // without a name
	api := h.server.Owner()
	for _, limit := range []int{1, 2, 31, 32, 33, 34, 500} {
		for path, total := range map[string]int{"names": 32, "peers": 33} {
			names, parts, after := []string(nil), 0, ""
			for {
				w := httptest.NewRecorder()
				api.ServeHTTP(w, httptest.NewRequest("GET", fmt.Sprintf("/api/v1/%s?limit=%d&after=%s", path, limit, after), nil))
				var l serve.List[struct{ Name string }]
				if err := json.Unmarshal(w.Body.Bytes(), &l); err != nil || len(l.Items) > limit {
					t.Fatalf("%s, limit %d: %v, %d elements", path, limit, err, len(l.Items))
				}
				for _, p := range l.Items {
					names = append(names, p.Name)
				}
				if parts++; l.Next == "" || parts > 100 {
					break
				}
				after = l.Next
			}
			if len(names) != total || !slices.Equal(names[:32], want) || parts != (total+limit-1)/limit {
				t.Errorf("%s, limit %d: got %q in %d parts, want %d names", path, limit, names, parts, total)
			}
		}
	}
}

// What a hub says to everybody; and that it is not ready while it drains, or when its
// store is broken.
func TestProbes(t *testing.T) {
	t.Parallel()
	var broken error
	h := start(t, func(o *serve.Options) { o.Ready = func() error { return broken } })
	var well serve.WellKnown
	got := h.request(t, "GET", "/.well-known/mesh-hub", "", nil)
	if err := json.Unmarshal(got.body, &well); err != nil || well.Hub != h.key.ID() || well.Origin != "wss://"+h.addr || !slices.Equal(well.Protocols, []string{hub.Subprotocol}) {
		t.Errorf("got %s, want hub and origin", got.body)
	}
	checkReply(t, h.request(t, "GET", "/healthz", "", nil), 204, "")
	if got := h.request(t, "GET", "/readyz", "", nil); got.status != 200 || string(got.body) != "{\"bound\":true}\n" {
		t.Errorf("got %d %s, want a hub that is ready and bound", got.status, got.body)
	}
	if code := h.get(t, "http://"+h.addr+"/readyz"); code != "200 {\"bound\":false}\n" {
		t.Errorf("without TLS: got %s", code)
	}
	broken = fmt.Errorf("the disk is gone")
	checkReply(t, h.request(t, "GET", "/readyz", "", nil), 503, hub.CodeStore)
	broken = nil
	h.broker.Drain(time.Minute, nil)
	checkReply(t, h.request(t, "GET", "/readyz", "", nil), 503, hub.CodeDraining)
	checkReply(t, h.request(t, "GET", "/healthz", "", nil), 204, "")
	got = h.request(t, "GET", "/ws?n="+strings.Repeat("00", 16), "", nil, "Sec-WebSocket-Protocol: "+hub.Subprotocol)
	checkReply(t, got, 503, hub.CodeDraining)
	if got.header.Get("Retry-After") == "" {
		t.Error("a node is not told when to come again")
	}
}

// get asks without TLS and returns status and body.
func (h testHub) get(t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(got.StatusCode, " ", string(text))
}

// Guessing ends: the source is refused before TLS.
func TestRESTGuesses(t *testing.T) {
	t.Parallel()
	h := startOf(t, standing(), nil)
	for range 25 {
		if h.broker.Blocked(netip.MustParseAddr("127.0.0.1")) {
			return
		}
		checkReply(t, h.request(t, "GET", "/api/v1/whoami", "mh1guess", nil), 401, hub.CodeBadToken)
	}
	t.Error("25 guesses, and the source is not refused")
}

// FuzzBody: no body makes the hub fail, and none changes anything unless it is answered
// with 204.
func FuzzBody(f *testing.F) {
	key := newKey(f)
	for _, body := range []string{
		`{}`, `{"until":"2030-01-01T00:00:00Z"}`, `{"key":"` + key.ID().String() + `","uses":1,"expires":"2030-01-01T00:00:00Z","for_s":1,"name":"bob"}`,
		`{"key":"","uses":1e9}`, `[`, `{"uses":-1}`, strings.Repeat("{", 100),
	} {
		f.Add(body)
	}
	b, err := broker.New(&memory{}, broker.Options{Hub: key.ID()})
	if err != nil {
		f.Fatal(err)
	}
	s, err := serve.New(serve.Options{Key: key, Broker: b})
	if err != nil {
		f.Fatal(err)
	}
	api := s.Owner()
	f.Fuzz(func(t *testing.T, body string) {
		for _, to := range []string{"POST /api/v1/invites", "PUT /api/v1/members/" + key.ID().String()} {
			method, path, _ := strings.Cut(to, " ")
			before := b.Count()
			w := httptest.NewRecorder()
			r := httptest.NewRequest(method, path, bytes.NewReader([]byte(body)))
			r.Header.Set("Content-Type", "application/json")
			api.ServeHTTP(w, r)
			var p serve.Problem
			switch {
			case w.Code == 204 && w.Body.Len() == 0:
			case w.Code >= 500 || json.Unmarshal(w.Body.Bytes(), &p) != nil || p.Status != w.Code || p.Code == "":
				t.Fatalf("%s: got %d %s", to, w.Code, w.Body)
			case b.Count() != before:
				t.Fatalf("%s: answered %d, and changed something", to, w.Code)
			}
		}
	})
}
