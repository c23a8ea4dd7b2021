package serve_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/hub/serve"
)

// Each request of an admin, and what is refused.
func TestAdmin(t *testing.T) {
	t.Parallel()
	drained := false
	u := hub.URL{TLS: true, Host: "hub.example:443", Key: newKey(t).ID()}
	h := start(t, func(o *serve.Options) {
		o.URL, o.Software = u, "test"
		o.Export, o.Drain = func() ([]broker.Fact, error) { return nil, nil }, func() { drained = true }
	})
	api := h.server.Owner()
	node := newKey(t).ID().String()
	invite := `{"key":"` + newKey(t).ID().String() + `","name":"bob","uses":1,"expires":"` + time.Now().Add(time.Hour).Format(time.RFC3339) + `"}`
	for _, tt := range []struct {
		method, path, body string
		status             int
		code               string // of the problem
		has                string // is in the answer
	}{
		{"GET", "status", "", 200, "", u.String()},
		{"GET", "members", "", 200, "", "[]"},
		{"PUT", "members/" + node, `{"until":"2030-01-01T00:00:00Z"}`, 204, "", ""},
		{"PUT", "members/" + node, `{"until":1}`, 400, hub.CodeBadEvent, ""},
		{"PUT", "members/" + node, "", 400, hub.CodeBadEvent, ""},
		{"PUT", "members/bob", `{}`, 400, hub.CodeBadEvent, ""},
		{"GET", "members", "", 200, "", node},
		{"DELETE", "members/" + node, "", 204, "", ""},
		{"DELETE", "members/" + node, "", 404, hub.CodeNotFound, "no such member"},
		{"POST", "invites", invite, 204, "", ""},
		{"POST", "invites", invite, 409, hub.CodeTaken, ""},
		{"POST", "invites", strings.Replace(invite, "bob", "Bob", 1), 400, hub.CodeBadName, ""},
		{"POST", "invites", strings.Replace(invite, `"uses":1`, `"uses":101`, 1), 429, hub.CodeLimit, ""},
		{"POST", "invites", strings.Repeat(" ", 64<<10) + invite, 413, hub.CodeTooLarge, ""},
		{"GET", "invites", "", 200, "", `"name":"bob"`},
		{"DELETE", "invites/" + node, "", 404, hub.CodeNotFound, ""},
		{"GET", "names", "", 200, "", ""},
		{"DELETE", "names/eve", "", 404, hub.CodeNotFound, ""},
		{"GET", "sessions", "", 200, "", ""},
		{"DELETE", "sessions/1", "", 400, hub.CodeBadEvent, ""},
		{"DELETE", "sessions/" + hub.NewID().String(), "", 404, hub.CodeNotFound, ""},
		{"PUT", "bans/203.0.113.0%2F24", "", 204, "", ""},
		{"PUT", "bans/203.0.113.0/24", "", 204, "", ""},
		{"PUT", "bans/203.0.113.1%2F24", "", 400, hub.CodeBadEvent, ""},
		{"GET", "bans", "", 200, "", "203.0.113.0/24"},
		{"DELETE", "bans/203.0.113.0%2F24", "", 204, "", ""},
		{"GET", "log?after=0", "", 200, "", `"op":"member removed"`},
		{"GET", "log?after=-1", "", 400, hub.CodeBadEvent, ""},
		{"GET", "export", "", 200, "", `{"facts":0}`},
		{"POST", "drain", "", 204, "", ""},
		{"GET", "drain", "", 405, hub.CodeBadMethod, ""},
		{"GET", "nothing", "", 404, hub.CodeNotFound, ""},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(tt.method, serve.APIPath+tt.path, strings.NewReader(tt.body))
		r.Header.Set("Content-Type", "application/json")
		api.ServeHTTP(w, r)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.has) {
			t.Errorf("%s %s: got %d %s, want %d and %q", tt.method, tt.path, w.Code, w.Body, tt.status, tt.has)
		}
		if tt.code == "" {
			continue
		}
		var p serve.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Code != tt.code || p.Status != tt.status || p.Title != http.StatusText(tt.status) || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: got the problem %+v (%v), want code %s", tt.method, tt.path, p, err, tt.code)
		}
	}
	if !drained {
		t.Error("drain did nothing")
	}
}
