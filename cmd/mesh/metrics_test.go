package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/boltstore"
	"mesh/proto/hub/broker"
	"mesh/proto/hub/serve"
	"mesh/proto/identity"
	"mesh/proto/relay"
	"mesh/tools/board"
	"mesh/tools/cmdline"
	"mesh/tools/metrics"
	"mesh/tools/runs"
)

// metricName is the name of a metric in an expression or in the text format. Those of a
// histogram have a suffix.
var (
	metricName   = regexp.MustCompile(`\bmesh_[a-z0-9_]+`)
	metricSuffix = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// TestMetricsScripts wants each metric in scripts/metrics to be one that a listener, a hub or
// a job has, and each of theirs that a person must see to be shown.
func TestMetricsScripts(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	for _, text := range []string{listenerMetrics(), hubMetrics(t), jobMetrics(t)} {
		for _, name := range metricName.FindAllString(text, -1) {
			have[metricSuffix.ReplaceAllString(name, "")] = true
		}
	}
	used := map[string]bool{}
	for _, file := range []string{"rules.yml", "rules_test.yml", "dashboard.json"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "scripts", "metrics", file))
		if err != nil {
			t.Fatal(err)
		}
		names := metricName.FindAllString(string(text), -1)
		if len(names) < 5 {
			t.Errorf("%s: got %d names of metrics", file, len(names))
		}
		for _, name := range names {
			name = metricSuffix.ReplaceAllString(name, "")
			if used[name] = true; !have[name] {
				t.Errorf("%s: there is no metric %s", file, name)
			}
		}
		if strings.HasSuffix(file, ".json") && !json.Valid(text) {
			t.Errorf("%s is no JSON", file)
		}
	}
	for _, name := range []string{metrics.InboxOverdue, metrics.InboxFree, metrics.InboxLast, metrics.Links, metrics.Transfers, "mesh_job_failures_in_a_row", "mesh_transfers_total", "mesh_refused_total"} {
		if !used[name] {
			t.Errorf("%s is not in scripts/metrics", name)
		}
	}
}

// listenerMetrics returns the metrics of a listener to which everything has happened.
func listenerMetrics() string {
	m := metrics.New("1")
	m.Ended(metrics.Transfer{Direction: metrics.Sent, Kind: "pipe", Via: proto.ViaTCP})
	m.Delivered("nas", true)
	size := int64(1)
	card := board.Card{Mode: board.ModeInbox, Free: &size, Size: &size, Peers: []board.Peer{{Name: "nas", Last: time.Now()}}}
	var text strings.Builder
	m.Write(&text, append(card.Gauges(), board.TerminalGauges(nil)...))
	return text.String()
}

// hubMetrics returns the metrics of a hub with a relay.
func hubMetrics(t *testing.T) string {
	t.Helper()
	key, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	m := serve.NewMetrics("mesh")
	store, err := boltstore.Open(filepath.Join(t.TempDir(), boltstore.FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	b, err := broker.New(store, broker.Options{Hub: key.ID(), APIKey: key.Derive(hub.APIKeyLabel), Meter: m})
	if err != nil {
		t.Fatal(err)
	}
	s, err := serve.New(serve.Options{Key: key, Broker: b, Max: 1, Software: "mesh", Log: slog.New(slog.DiscardHandler), Metrics: m, Relay: relay.NewServer(relay.Options{Hub: key.ID()})})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.MetricsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// jobMetrics returns the metrics of a job.
func jobMetrics(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	o := runs.Options{Job: "db", State: t.TempDir(), Metrics: dir + "/"}
	if err := o.Run(t.Context(), cmdline.Streams{Err: io.Discard}, func(context.Context, runs.Try) (runs.Facts, error) { return runs.Facts{}, nil }); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "mesh_db.prom"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestMetricsRules has promtool check the rules and run their test, where it is.
func TestMetricsRules(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("no promtool here")
	}
	for _, args := range []string{"check rules rules.yml", "test rules rules_test.yml"} {
		c := exec.CommandContext(t.Context(), promtool, strings.Fields(args)...)
		c.Dir = filepath.Join("..", "..", "scripts", "metrics")
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", args, err, out)
		}
	}
	for name, text := range map[string]string{"listener": listenerMetrics(), "hub": hubMetrics(t), "job": jobMetrics(t)} {
		c := exec.CommandContext(t.Context(), promtool, "check", "metrics")
		c.Stdin = strings.NewReader(text)
		out, err := c.CombinedOutput()
		if code := c.ProcessState.ExitCode(); code != 0 && code != 3 || strings.Contains(string(out), "error while linting") { // 3: no help texts
			t.Errorf("promtool check metrics, of the %s: %v\n%s", name, err, out)
		}
	}
}

// The rules that a person is promised are there.
func TestMetricsAlerts(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "scripts", "metrics", "rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^      - alert: (\S+)$`).FindAllStringSubmatch(string(text), -1) {
		got = append(got, m[1])
	}
	for _, want := range []string{"MeshOverdue", "MeshFailing", "MeshInboxFull", "MeshHubDown", "MeshRelayOnly"} {
		if !slices.Contains(got, want) {
			t.Errorf("got the alerts %q, want %s among them", got, want)
		}
	}
}
