package serve_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/hub/serve"
)

// apiPage is openapi.json as far as the tests read it.
type apiPage struct {
	OpenAPI    string
	Paths      map[string]map[string]apiOperation
	Components struct {
		Parameters map[string]struct{ Name, In string }
		Responses  map[string]apiResponse
	}
}

type apiOperation struct {
	OperationID string
	Security    []map[string][]string
	Parameters  []reference
	RequestBody *struct{ Content map[string]any }
	Responses   map[string]apiResponse
}

type apiResponse struct {
	Ref     string `json:"$ref"`
	Content map[string]any
}

type reference struct {
	Ref string `json:"$ref"`
}

// last returns the last word of a reference.
func last(ref string) string { return ref[strings.LastIndex(ref, "/")+1:] }

// readPage reads the page from a hub.
func (h testHub) readPage(t *testing.T) (apiPage, *jsonschema.Compiler) {
	t.Helper()
	got := h.request(t, "GET", "/openapi.json", "", nil)
	var page apiPage
	if err := json.Unmarshal(got.body, &page); err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(got.body))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("http://hub/openapi.json", value); err != nil {
		t.Fatal(err)
	}
	return page, c
}

// operation returns an operation as a route: what both must say.
func (p apiPage) operation(method, path string, o apiOperation) serve.Route {
	r := serve.Route{Method: strings.ToUpper(method), Path: path, Public: len(o.Security) == 0}
	for _, s := range o.Security {
		r.Scopes = append(r.Scopes, s["token"]...)
	}
	for _, ref := range o.Parameters {
		if one := p.Components.Parameters[last(ref.Ref)]; one.In == "query" {
			r.Query = append(r.Query, one.Name)
		} else if !strings.Contains(path, "{"+one.Name+"}") {
			r.Path += " without " + one.Name
		}
	}
	for word := range strings.SplitSeq(path, "/") {
		if name := strings.Trim(word, "{}"); name != word && !slices.ContainsFunc(o.Parameters, func(ref reference) bool { return p.Components.Parameters[last(ref.Ref)].Name == name }) {
			r.Path += " with " + name
		}
	}
	return r
}

// The page and the routes list the same operations, with scopes and queries.
func TestOpenAPIRoutes(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	page, _ := h.readPage(t)
	said, ids := map[string]bool{}, map[string]bool{}
	for path, operations := range page.Paths {
		for method, o := range operations {
			said[fmt.Sprintf("%+v", page.operation(method, path, o))] = true
			if ids[o.OperationID] || o.OperationID == "" {
				t.Errorf("operation id %q is absent or there twice", o.OperationID)
			}
			ids[o.OperationID] = true
		}
	}
	routes := h.server.Routes()
	for _, r := range routes {
		text := fmt.Sprintf("%+v", r)
		if !said[text] {
			t.Errorf("the page lacks %s, or says otherwise", text)
		}
		delete(said, text)
	}
	for text := range said {
		t.Errorf("no route is as the page says: %s", text)
	}
	if page.OpenAPI != "3.1.0" || len(routes) < 20 {
		t.Errorf("got version %q and %d routes", page.OpenAPI, len(routes))
	}
}

// schemaOf returns the schema of an answer, nil if it has no body. The status must stand
// in the page.
func schemaOf(t *testing.T, page apiPage, c *jsonschema.Compiler, path, method string, status int) *jsonschema.Schema {
	t.Helper()
	key := fmt.Sprint(status)
	response, ok := page.Paths[path][method].Responses[key]
	if !ok {
		t.Errorf("%s %s: the page has no status %d", method, path, status)
		return nil
	}
	at := "/paths/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(path) + "/" + method + "/responses/" + key
	if response.Ref != "" {
		at = strings.TrimPrefix(response.Ref, "#")
		response = page.Components.Responses[last(response.Ref)]
	}
	for kind := range response.Content {
		if kind == "application/x-ndjson" {
			return nil
		}
		return compile(t, c, at+"/content/"+strings.ReplaceAll(kind, "/", "~1")+"/schema")
	}
	return nil
}

func compile(t *testing.T, c *jsonschema.Compiler, at string) *jsonschema.Schema {
	t.Helper()
	s, err := c.Compile("http://hub/openapi.json#" + at)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func checkValue(t *testing.T, what string, s *jsonschema.Schema, text []byte) {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err == nil {
		err = s.Validate(value)
	}
	if err != nil {
		t.Errorf("%s: %v\n%s", what, err, text)
	}
}

// operations are a request for each operation of the API, in an order in which all succeed.
var operations = []struct{ method, path, real, body string }{
	{"get", "/healthz", "", ""},
	{"get", "/readyz", "", ""},
	{"get", "/.well-known/mesh-hub", "", ""},
	{"get", "/openapi.json", "", ""},
	{"get", "/api/v1/whoami", "", ""},
	{"get", "/api/v1/peers", "/api/v1/peers?online=true&kind=pipe&room=ops&limit=1", ""},
	{"get", "/api/v1/peers", "", ""},
	{"get", "/api/v1/peers/{peer}", "/api/v1/peers/bob", ""},
	{"get", "/api/v1/peers/{peer}", "/api/v1/peers/ops%2Fbob", ""},
	{"get", "/api/v1/names", "", ""},
	{"get", "/api/v1/rooms", "", ""},
	{"get", "/api/v1/rooms/{room}/peers", "/api/v1/rooms/ops/peers", ""},
	{"get", "/api/v1/sessions", "", ""},
	{"delete", "/api/v1/sessions/{session}", "/api/v1/sessions/SESSION", ""},
	{"delete", "/api/v1/names/{name}", "/api/v1/names/bob", ""},
	{"post", "/api/v1/invites", "", `{"key":"NODE","name":"carol","uses":1,"expires":"EXPIRES","for_s":60}`},
	{"get", "/api/v1/invites", "", ""},
	{"delete", "/api/v1/invites/{invite}", "/api/v1/invites/NODE", ""},
	{"put", "/api/v1/members/{node}", "/api/v1/members/NODE", `{"until":"EXPIRES"}`},
	{"get", "/api/v1/members", "", ""},
	{"delete", "/api/v1/members/{node}", "/api/v1/members/NODE", ""},
	{"put", "/api/v1/bans/{what}", "/api/v1/bans/203.0.113.0%2F24", ""},
	{"get", "/api/v1/bans", "", ""},
	{"delete", "/api/v1/bans/{what}", "/api/v1/bans/203.0.113.0/24", ""},
	{"get", "/api/v1/tokens", "", ""},
	{"delete", "/api/v1/tokens/{token}", "/api/v1/tokens/TOKEN", ""},
	{"get", "/api/v1/log", "/api/v1/log?after=1&limit=2", ""},
	{"get", "/api/v1/status", "", ""},
	{"get", "/api/v1/export", "", ""},
	{"post", "/api/v1/drain", "", ""},
}

// Real answers have the form that the page promises, errors too.
func TestOpenAPIAnswers(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *serve.Options) {
		o.Export, o.Drain = func() ([]broker.Fact, error) { return nil, nil }, func() {}
	})
	page, compiler := h.readPage(t)
	replace := h.populate(t)
	admin := h.member(t)
	h.setAdmin(t, admin)
	at := h.enter(t, admin)
	token := at.apiToken(hub.NewToken{})
	at.apiToken(hub.NewToken{Scopes: []hub.Scope{hub.ScopeInvite}, TTLS: 60})
	kept, _ := h.broker.Tokens(broker.Page{Limit: 1})
	replace = append(replace, "TOKEN", kept[0].ID)
	done := map[string]bool{}
	for _, one := range operations {
		what := one.method + " " + one.path
		done[what] = true
		real := one.real
		if real == "" {
			real = one.path
		}
		r := strings.NewReplacer(replace...)
		method, body := strings.ToUpper(one.method), r.Replace(one.body)
		if body != "" {
			checkValue(t, what+", body", compile(t, compiler, "/components/schemas/"+map[string]string{"post": "NewInvite", "put": "NewMember"}[one.method]), []byte(body))
		}
		got := h.request(t, method, r.Replace(real), token, strings.NewReader(body), jsonType)
		if got.status >= 300 {
			t.Errorf("%s: got %d %s", what, got.status, got.body)
		}
		if s := schemaOf(t, page, compiler, one.path, one.method, got.status); s != nil {
			checkValue(t, what, s, got.body)
		} else if got.status != http.StatusNoContent && one.path != "/api/v1/export" {
			t.Errorf("%s: status %d has no schema", what, got.status)
		}
		if got := h.request(t, method, r.Replace(real), "", nil); got.status >= 300 {
			checkValue(t, what+" without a token", schemaOf(t, page, compiler, one.path, one.method, got.status), got.body)
		} else if len(page.Paths[one.path][one.method].Security) > 0 {
			t.Errorf("%s: needs no token", what)
		}
	}
	for path, operations := range page.Paths {
		for method := range operations {
			if !done[method+" "+path] {
				t.Errorf("no request for %s %s", method, path)
			}
		}
	}
}

// populate puts something of each kind into a hub, and returns what to put for the words
// of [operations].
func (h testHub) populate(t *testing.T) []string {
	t.Helper()
	alice, bob := h.enter(t, h.member(t)), h.enter(t, h.member(t))
	if code := bob.ask(hub.TypeRegister, hub.Register{Name: "bob", Kinds: []hub.Kind{hub.KindPipe}, Lasting: true}); code != "" {
		t.Fatal(code)
	}
	if code := bob.ask(hub.TypeRoomJoin, hub.RoomJoin{Room: "ops"}); code != "" {
		t.Fatal(code)
	}
	r := hub.Request{Session: hub.NewID(), To: "bob", Kind: hub.KindPipe, Want: "send", Seal: make([]byte, hub.SealKeyBytes)}
	r.Sign(alice.node, h.key.ID())
	if code := alice.ask(hub.TypeRequest, &r); code != "" {
		t.Fatal(code)
	}
	return []string{"SESSION", r.Session.String(), "NODE", newKey(t).ID().String(), "EXPIRES", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}
}

// The page is a document of OpenAPI 3.1, by the schema that its authors publish. The variable
// OPENAPI_SCHEMA names a file with that: scripts/lint fetches one.
func TestOpenAPISchema(t *testing.T) {
	t.Parallel()
	path := os.Getenv("OPENAPI_SCHEMA")
	if path == "" {
		t.Skip("OPENAPI_SCHEMA names no schema of OpenAPI; scripts/lint runs this test with one")
	}
	s, err := jsonschema.NewCompiler().Compile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := start(t, nil).request(t, "GET", "/openapi.json", "", nil).body
	checkValue(t, "openapi.json", s, page)
	for what, change := range map[string][2]string{
		"another version":                {`"openapi": "3.1.0"`, `"openapi": "3.0.0"`},
		"no title":                       {`"title": `, `"x-title": `},
		"a parameter in no place":        {`"in": "query"`, `"in": "body"`},
		"a response without description": {`"description": "This document."`, `"x-description": "This document."`},
		"a field that is not known":      {`"operationId": "openapi"`, `"operation": "openapi"`},
	} {
		text := bytes.Replace(page, []byte(change[0]), []byte(change[1]), 1)
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil || bytes.Equal(text, page) {
			t.Fatalf("%s: the page was not changed, or is no JSON: %v", what, err)
		}
		if s.Validate(value) == nil {
			t.Errorf("%s: the schema takes it", what)
		}
	}
}
