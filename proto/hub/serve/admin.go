package serve

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/identity"
)

const (
	// maxBodyBytes bounds the body of a request to the API.
	maxBodyBytes = 64 << 10
	// MaxLogLines bounds the lines of the log in one answer.
	MaxLogLines = 500
	// AdminPath begins the paths of the API.
	AdminPath = "/api/v1/"
	// adminName stands in the log as the author of changes through the hub's own socket.
	adminName = "admin"
)

// Status is what a hub tells its admin.
type Status struct {
	URL         string `json:"url"`
	Software    string `json:"software"`
	Connections int    `json:"connections"`
	Sessions    int    `json:"sessions"`
	Names       int    `json:"names"`
	Members     int    `json:"members"`
	Draining    bool   `json:"draining"`
}

// NewInvite is the request to make an invite, whose secret half stays with its maker.
type NewInvite struct {
	Key     identity.ID `json:"key"`
	Name    string      `json:"name,omitzero"`
	Expires time.Time   `json:"expires"`
	Uses    int         `json:"uses"`
	ForS    int64       `json:"for_s,omitzero"`
}

// NewMember is the request to add a member; Until is zero for no end.
type NewMember struct {
	Until time.Time `json:"until,omitzero"`
}

// Problem is an error of the API (RFC 9457). Code is one of package hub, for example
// [hub.CodeNotFound].
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
}

// Admin is the API of an admin.
type Admin struct {
	Broker *broker.Broker
	// URL is what members use for the hub.
	URL      hub.URL
	Software string
	// Export returns all facts as they are stored.
	Export func() ([]broker.Fact, error)
	// Drain begins the end of the hub. It does not wait for it.
	Drain func()
}

// Handler returns the API. Every client that can send it requests is an admin.
func (a *Admin) Handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { answer(w, r, f) })
	}
	b := a.Broker
	handle("GET /api/v1/status", func(*http.Request) (any, error) { return a.status(), nil })
	handle("GET /api/v1/invites", func(*http.Request) (any, error) { return b.Invites(), nil })
	handle("POST /api/v1/invites", a.addInvite)
	handle("DELETE /api/v1/invites/{id}", byNode(func(id identity.ID) error { return b.RemoveInvite(adminName, id) }))
	handle("GET /api/v1/members", func(*http.Request) (any, error) { return b.Members(), nil })
	handle("PUT /api/v1/members/{id}", a.addMember)
	handle("DELETE /api/v1/members/{id}", byNode(func(id identity.ID) error { return b.RemoveMember(adminName, id) }))
	handle("GET /api/v1/names", func(*http.Request) (any, error) { return b.Names(), nil })
	handle("DELETE /api/v1/names/{name}", func(r *http.Request) (any, error) { return nil, b.FreeName(adminName, r.PathValue("name")) })
	handle("GET /api/v1/sessions", func(*http.Request) (any, error) { return b.Sessions(), nil })
	handle("DELETE /api/v1/sessions/{id}", a.endSession)
	handle("GET /api/v1/bans", func(*http.Request) (any, error) { return b.Bans(), nil })
	handle("PUT /api/v1/bans/{what...}", func(r *http.Request) (any, error) { return nil, b.AddBan(adminName, r.PathValue("what")) })
	handle("DELETE /api/v1/bans/{what...}", func(r *http.Request) (any, error) { return nil, b.RemoveBan(adminName, r.PathValue("what")) })
	handle("GET /api/v1/log", a.log)
	handle("POST /api/v1/drain", func(*http.Request) (any, error) { a.Drain(); return nil, nil })
	mux.HandleFunc("GET /api/v1/export", a.export)
	return mux
}

// answer writes what f returns, or its error, as JSON.
func answer(w http.ResponseWriter, r *http.Request, f func(*http.Request) (any, error)) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
	value, err := f(r)
	status, kind := http.StatusOK, "application/json"
	switch {
	case err != nil:
		p := problemOf(err)
		value, status, kind = p, p.Status, "application/problem+json"
	case value == nil:
		w.WriteHeader(http.StatusNoContent)
		return
	}
	text, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // the client notices
}

func problemOf(err error) Problem {
	code := hub.CodeInternal
	if r, ok := errors.AsType[*broker.Refusal](err); ok {
		code = r.Code
	}
	status := http.StatusInternalServerError
	switch code {
	case hub.CodeNotFound:
		status = http.StatusNotFound
	case hub.CodeBadEvent, hub.CodeBadName:
		status = http.StatusBadRequest
	case hub.CodeTaken, hub.CodeReserved:
		status = http.StatusConflict
	case hub.CodeLimit, hub.CodeRateLimited:
		status = http.StatusTooManyRequests
	case hub.CodeDenied:
		status = http.StatusForbidden
	}
	return Problem{Title: http.StatusText(status), Status: status, Detail: err.Error(), Code: code}
}

func (a *Admin) status() Status {
	n := a.Broker.Count()
	return Status{a.URL.String(), a.Software, n.Connections, n.Sessions, n.Names, n.Members, n.Draining}
}

// malformed is the error of a request that can't be read.
func malformed(err error) error { return &broker.Refusal{Code: hub.CodeBadEvent, Err: err} }

func (a *Admin) addInvite(r *http.Request) (any, error) {
	var n NewInvite
	if err := readBody(r, &n); err != nil {
		return nil, err
	}
	return nil, a.Broker.AddInvite(adminName, broker.Invite{Key: n.Key, Name: n.Name, Expires: n.Expires, Uses: n.Uses, ForS: n.ForS})
}

func (a *Admin) addMember(r *http.Request) (any, error) {
	id, err := identity.ParseID(r.PathValue("id"))
	if err != nil {
		return nil, malformed(err)
	}
	var n NewMember
	if err := readBody(r, &n); err != nil {
		return nil, err
	}
	return nil, a.Broker.AddMember(adminName, id, n.Until)
}

func readBody(r *http.Request, into any) error {
	text, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return malformed(err)
	}
	return nil
}

// byNode returns a handler for a path with a node id, or the id of an invite.
func byNode(f func(identity.ID) error) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		id, err := identity.ParseID(r.PathValue("id"))
		if err != nil {
			return nil, malformed(err)
		}
		return nil, f(id)
	}
}

func (a *Admin) endSession(r *http.Request) (any, error) {
	id, err := hub.ParseID(r.PathValue("id"))
	if err != nil {
		return nil, malformed(err)
	}
	return nil, a.Broker.EndSession(id)
}

// log answers with up to [MaxLogLines] lines after the one that the query names.
func (a *Admin) log(r *http.Request) (any, error) {
	after := uint64(0)
	if text := r.URL.Query().Get("after"); text != "" {
		var err error
		if after, err = strconv.ParseUint(text, 10, 63); err != nil {
			return nil, malformed(errors.New("the query after is no number"))
		}
	}
	return a.Broker.Log(after, MaxLogLines)
}

func (a *Admin) export(w http.ResponseWriter, _ *http.Request) {
	facts, err := a.Export()
	if err != nil {
		answer(w, &http.Request{Body: http.NoBody}, func(*http.Request) (any, error) { return nil, err })
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	_ = broker.WriteExport(w, facts) // its last line says whether it is whole
}
