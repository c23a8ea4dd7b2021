package serve_test

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/hub/serve"
	"mesh/proto/identity"
)

// metricsOf returns the metrics of a hub by their names with labels.
func metricsOf(t *testing.T, h testHub) (map[string]string, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.server.MetricsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	got := map[string]string{}
	for line := range strings.Lines(w.Body.String()) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "} "); ok {
			got[name+"}"] = value
		} else if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.HasPrefix(line, "#") {
			got[name] = value
		}
	}
	return got, w.Body.String()
}

// startMetered starts a hub that counts.
func startMetered(t *testing.T) testHub {
	t.Helper()
	m := serve.NewMetrics("mesh \"test\"\n")
	of := standing()
	of.Meter = m
	return startOf(t, of, func(o *serve.Options) { o.Metrics = m })
}

// What happens at a hub is counted, and no label holds anything of a client.
func TestMetrics(t *testing.T) {
	t.Parallel()
	h := startMetered(t)
	got, _ := metricsOf(t, h)
	if got["mesh_hub_session_seconds_count"] != "0" || got["mesh_hub_store_commit_seconds_count"] != "0" || got["mesh_hub_queue_drops_total"] != "0" {
		t.Errorf("before anything: got %v", got)
	}
	alice, bob := h.enter(t, h.member(t)), h.enter(t, h.member(t))
	stranger := h.open(t)
	stranger.send(hub.TypeHello, "", stranger.hello(newKey(t)))
	if code := stranger.closed(); code != hub.CloseNoMember {
		t.Fatalf("a stranger: got close code %d", code)
	}
	if code := bob.ask(hub.TypeRegister, hub.Register{Name: "secretname", Kinds: []hub.Kind{hub.KindPipe}, Lasting: true}); code != "" {
		t.Fatal(code)
	}
	if code := bob.ask(hub.TypeRoomJoin, hub.RoomJoin{Room: "secretroom"}); code != "" {
		t.Fatal(code)
	}
	r := hub.Request{Session: hub.NewID(), To: "secretname", Kind: hub.KindPipe, Want: "send", Seal: make([]byte, hub.SealKeyBytes)}
	r.Sign(alice.node, h.key.ID())
	if code := alice.ask(hub.TypeRequest, &r); code != "" {
		t.Fatal(code)
	}
	if code := bob.ask(hub.TypeAccept, hub.Accept{Session: r.Session, Sealed: []byte{1}, Sig: make([]byte, 64)}); code != "" {
		t.Fatal(code)
	}
	if code := bob.ask(hub.TypeClosed, hub.Closed{Session: r.Session, Path: "lan"}); code != "" {
		t.Fatal(code)
	}
	r.Session, r.To = hub.NewID(), "nobody"
	r.Sign(alice.node, h.key.ID())
	if code := alice.ask(hub.TypeRequest, &r); code != hub.CodeNotFound {
		t.Fatal(code)
	}
	alice.ask("system.secretevent", hub.Lookup{Peer: "x"})
	box, err := hub.OpenCode(h.key.ID(), alice.node, hub.KindPipe, hub.NewID(), "acorn-acorn-acorn")
	if err != nil {
		t.Fatal(err)
	}
	if code := alice.ask(hub.TypeCodeOpen, box.Event()); code != "" {
		t.Fatal(code)
	}
	for range 31 {
		alice.ask(hub.TypeLookup, hub.Lookup{Peer: "secretname"})
	}
	got, text := metricsOf(t, h)
	for name, want := range map[string]string{
		`mesh_hub_connections{state="online"}`: "2", `mesh_hub_connections{state="lost"}`: "0",
		"mesh_hub_sessions_open": "0", "mesh_hub_names": "1", "mesh_hub_members": "2", "mesh_hub_rooms": "1", "mesh_hub_codes_open": "1",
		`mesh_hub_logins_total{result="ok"}`: "2", `mesh_hub_logins_total{result="not_member"}`: "1",
		`mesh_hub_events_total{type="p2p.session.request"}`: "2", `mesh_hub_events_total{type="other"}`: "1", `mesh_hub_events_total{type="system.lookup"}`: "31",
		`mesh_hub_errors_total{code="not_found"}`: "1", `mesh_hub_errors_total{code="unsupported"}`: "1", `mesh_hub_errors_total{code="rate_limited"}`: "1",
		`mesh_hub_rate_limited_total{limit="lookups"}`: "1",
		`mesh_hub_sessions_total{result="created"}`:    "1", "mesh_hub_session_seconds_count": "1",
		`mesh_hub_path_total{path="lan"}`: "1", `mesh_hub_codes_total{result="opened"}`: "1",
		"mesh_hub_store_commit_seconds_count": "3",
	} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %s", name, got[name], want)
		}
	}
	for _, secret := range []string{"secret", "mk1", r.Session.String(), alice.node.ID().Short()} {
		if strings.Contains(text, secret) {
			t.Errorf("the metrics have %q", secret)
		}
	}
	if !strings.Contains(text, `mesh_hub_session_seconds_bucket{le="`) {
		t.Errorf("no histogram with le:\n%s", text)
	}
	line := regexp.MustCompile(`^(#.*|mesh_hub_[a-z_]+(\{[a-z]+="[^"\\]*(\\.[^"\\]*)*"\})? [0-9.e+-]+)\n$`)
	for l := range strings.Lines(text) {
		if !line.MatchString(l) {
			t.Errorf("not a metric: %q", l)
		}
	}
}

// A word that a client makes up makes no new metric, however often it does so.
func TestMetricsBounded(t *testing.T) {
	t.Parallel()
	h := startMetered(t)
	c, peer := h.enter(t, h.member(t)), h.enter(t, h.member(t))
	peer.ask(hub.TypeRegister, hub.Register{Name: "bob", Kinds: []hub.Kind{hub.KindPipe}})
	for i := range 8 {
		word := strings.Repeat("x", i+1)
		c.ask("system."+word, hub.Lookup{Peer: "x"})
		r := hub.Request{Session: hub.NewID(), To: "bob", Kind: hub.KindPipe, Want: "send", Seal: make([]byte, hub.SealKeyBytes)}
		r.Sign(c.node, h.key.ID())
		c.ask(hub.TypeRequest, &r)
		peer.ask(hub.TypeAccept, hub.Accept{Session: r.Session, Sealed: []byte{1}, Sig: make([]byte, 64)})
		c.ask(hub.TypeClosed, hub.Closed{Session: r.Session, Path: word, Reason: word})
	}
	got, text := metricsOf(t, h)
	if got[`mesh_hub_events_total{type="other"}`] != "8" || got[`mesh_hub_path_total{path="other"}`] != "8" || strings.Contains(text, "xx") {
		t.Errorf("got\n%s", text)
	}
}

// Without metrics a hub counts nothing, and does not fail.
func TestNoMetrics(t *testing.T) {
	t.Parallel()
	var m *serve.Metrics
	m.Count(broker.CountLogins, "ok")
	m.Took(broker.TookCommit, 1)
	h := start(t, nil)
	if c := h.enter(t, h.member(t)); c.node.ID() == (identity.ID{}) {
		t.Error("no login")
	}
}
