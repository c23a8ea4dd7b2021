package serve

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/identity"
)

// MaxBodyBytes bounds the body of a request.
const MaxBodyBytes = 64 << 10

// APIPath begins the paths of the REST API.
const APIPath = "/api/v1/"

// call is a request to a route.
type call struct {
	*http.Request
	at     visit
	caller broker.Caller
}

// route is one operation of the HTTP side. A request needs one of the scopes; no scope
// means any API token, public none.
type route struct {
	method, path string
	public       bool
	scopes       []hub.Scope
	query        []string // the names that the query may have
	do           func(*call) (any, error)
}

// stream is an answer that is not JSON, or is JSON already.
type stream struct {
	kind  string
	write func(io.Writer) error
}

// handler returns the routes as a handler. Authorize returns who sends a request.
func (s *Server) handler(routes []route, authorize func(*call) (broker.Caller, error)) http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.HandleFunc(r.method+" "+r.path, func(w http.ResponseWriter, request *http.Request) {
			s.answer(w, r, &call{Request: request, at: s.visit(request)}, authorize)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		r.Body = http.MaxBytesReader(w, r.Body, MaxBodyBytes)
		// The mux would redirect to a clean path.
		if p := r.URL.EscapedPath(); path.Clean(p) != p {
			writeProblem(w, errNoRoute)
			return
		}
		if h, pattern := mux.Handler(r); pattern == "" {
			writeProblem(w, noRoute(w, r, h))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

var errNoRoute = refuse(hub.CodeNotFound, "the hub has nothing at this path: /openapi.json lists what it has")

// noRoute returns why no route takes the request, which the mux's own handler knows.
func noRoute(w http.ResponseWriter, r *http.Request, h http.Handler) error {
	got := &header{of: http.Header{}}
	h.ServeHTTP(got, r)
	if allow := got.of.Get("Allow"); allow != "" {
		w.Header().Set("Allow", allow)
		return refuse(hub.CodeBadMethod, "want "+allow)
	}
	return errNoRoute
}

// header is a response of which only the header is kept.
type header struct{ of http.Header }

// Header implements [http.ResponseWriter].
func (h *header) Header() http.Header { return h.of }

// Write implements [http.ResponseWriter].
func (h *header) Write(p []byte) (int, error) { return len(p), nil }

// WriteHeader implements [http.ResponseWriter].
func (h *header) WriteHeader(int) {}

// answer checks who sends the request and whether it has the form that the route wants,
// and writes what the route returns.
func (s *Server) answer(w http.ResponseWriter, r route, c *call, authorize func(*call) (broker.Caller, error)) {
	value, err := r.take(c, authorize)
	if c.caller.Scopes == nil { // a stranger makes a connection for each request
		w.Header().Set("Connection", "close")
	}
	if err != nil {
		s.o.Log.Debug("request refused", "from", c.at.from, "method", r.method, "path", r.path, "why", err)
		writeProblem(w, err)
		return
	}
	switch v := value.(type) {
	case nil:
		w.WriteHeader(http.StatusNoContent)
	case stream:
		w.Header().Set("Content-Type", v.kind)
		_ = v.write(w) // the client notices
	default:
		writeJSON(w, http.StatusOK, "application/json", v)
	}
}

// take runs the route.
func (r route) take(c *call, authorize func(*call) (broker.Caller, error)) (any, error) {
	if !r.public {
		var err error
		if c.caller, err = authorize(c); err != nil {
			return nil, err
		}
		if len(r.scopes) > 0 && !slices.ContainsFunc(r.scopes, c.may) {
			return nil, refuse(hub.CodeDenied, "this needs an API token with the scope "+scopeTexts(r.scopes))
		}
	}
	for name, values := range c.URL.Query() {
		if !slices.Contains(r.query, name) || len(values) != 1 {
			return nil, malformed(errors.New("the query has what this path does not take"))
		}
	}
	if strings.Contains(c.URL.RawQuery, ";") {
		return nil, malformed(errors.New("the query has a semicolon"))
	}
	return r.do(c)
}

func scopeTexts(list []hub.Scope) string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = string(s)
	}
	return strings.Join(texts, " or ")
}

// may reports whether the caller has a scope.
func (c *call) may(scope hub.Scope) bool { return hub.HasScope(c.caller.Scopes, scope) }

// owner returns the node whose things the caller may change: the zero node, for anybody,
// if it is an admin.
func (c *call) owner() identity.ID {
	if c.may(hub.ScopeAdmin) {
		return identity.ID{}
	}
	return c.caller.Node
}

// read reads the body, one JSON object without members that are not known.
func (c *call) read(into any) error {
	kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return refuse(hub.CodeBadType, "want a body with Content-Type: application/json")
	}
	text, err := io.ReadAll(c.Body)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return refuse(hub.CodeTooLarge, "the body is longer than 64 KiB")
	}
	if err == nil {
		err = json.Unmarshal(text, into, json.RejectUnknownMembers(true))
	}
	if err != nil {
		return malformed(errors.New("the body is not the JSON object that this path takes: /openapi.json has its form"))
	}
	return nil
}

// bearer returns who has sent a request over the network.
func (s *Server) bearer(c *call) (broker.Caller, error) {
	lines := c.Header.Values("Authorization")
	if len(lines) == 1 {
		if kind, token, ok := strings.Cut(lines[0], " "); ok && strings.EqualFold(kind, "Bearer") {
			return s.o.Broker.Authorize(strings.TrimSpace(token), c.at.from.Addr())
		}
	}
	return broker.Caller{}, refuse(hub.CodeBadToken, "want one header Authorization: Bearer TOKEN; mesh-hub api-token prints a token")
}

// Owner returns the API for the hub's own socket: its clients may do everything.
func (s *Server) Owner() http.Handler {
	all := broker.Caller{Scopes: hub.Scopes}
	return s.handler(s.routes(), func(*call) (broker.Caller, error) { return all, nil })
}
