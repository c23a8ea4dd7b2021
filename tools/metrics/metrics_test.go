package metrics_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/tools/metrics"
)

// line is a line of the text format, as this package writes it.
var line = regexp.MustCompile(`^(#.*|mesh_[a-z_]+(\{[a-z]+="[^"\\]*"(,[a-z]+="[^"\\]*")*\})? [0-9.e+-]+)\n$`)

// TestSeries counts the series when everything has happened that can, with 100 peers that
// have a name.
func TestSeries(t *testing.T) {
	t.Parallel()
	m := metrics.New("mesh 1.0")
	for _, direction := range []string{metrics.Sent, metrics.Received} {
		for _, kind := range []string{"pipe", "files", "take", "tty", "pair", "made-up"} {
			for code := range 256 {
				for _, via := range append([]string{"made-up", ""}, metrics.Vias...) {
					m.Ended(metrics.Transfer{Direction: direction, Kind: kind, Via: via, Code: proto.Code(code), Bytes: 1, Took: time.Second})
				}
			}
		}
	}
	var gauges []metrics.Gauge
	for i := range 101 {
		peer := fmt.Sprintf("peer-%d", i)
		m.Delivered(peer, true)
		m.Delivered(peer, false)
		gauges = append(gauges, metrics.Gauge{Name: metrics.InboxLast, Label: metrics.LabelPeer, Word: peer, Value: 1}, metrics.Gauge{Name: metrics.InboxOverdue, Label: metrics.LabelPeer, Word: peer})
	}
	for code := range 256 {
		m.Refused(proto.Code(code))
		m.Hook(code)
	}
	for _, channel := range []string{"gotify", "ntfy", "ping", "webhook", "command"} {
		gauges = append(gauges, metrics.Gauge{Name: metrics.NotifyWaits, Label: metrics.LabelChannel, Word: channel})
		for _, result := range []string{"ok", "failed", "dropped"} {
			gauges = append(gauges, metrics.Gauge{Name: metrics.Notified, Label: metrics.LabelChannel, Word: channel, Result: result})
		}
	}
	var text strings.Builder
	m.Write(&text, gauges)
	n, seen := 0, map[string]bool{}
	for l := range strings.Lines(text.String()) {
		if !line.MatchString(l) {
			t.Errorf("not a metric: %q", l)
		}
		series, _, _ := strings.Cut(l, " ")
		if n++; seen[series] {
			t.Errorf("%s is there twice", series)
		}
		seen[series] = true
	}
	if n > 2000 || n < 500 {
		t.Errorf("got %d series, want at most 2,000 and not less than 500", n)
	}
	t.Logf("%d series", n)
	for _, word := range []string{"made-up", "pair"} {
		if strings.Contains(text.String(), word) {
			t.Errorf("the metrics have %q", word)
		}
	}
}

// A nil meter counts nothing.
func TestNoMeter(t *testing.T) {
	t.Parallel()
	var m *metrics.Meter
	m.Ended(metrics.Transfer{Kind: "pipe"})
	m.Resumed(1)
	m.Refused(proto.Denied)
	m.Delivered("nas", true)
	m.Hook(0)
}

// TestListen asks a server for what it has, for what it has not, and in ways it refuses.
func TestListen(t *testing.T) {
	t.Parallel()
	var words strings.Builder
	m := metrics.New("1")
	h := m.Handler(func() []metrics.Gauge { return []metrics.Gauge{{Name: metrics.InboxFree, Value: 7}} })
	stop, err := metrics.Listen("127.0.0.1:0", h, slog.New(slog.NewTextHandler(&words, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	_, at, _ := strings.Cut(strings.TrimSpace(words.String()), " at=")
	for _, tt := range []struct {
		method, path, want string
		status             int
	}{
		{"GET", "/metrics", "mesh_inbox_free_bytes 7\n", 200},
		{"GET", "/metrics", `mesh_build_info{version="1"`, 200},
		{"GET", "/healthz", "ok\n", 200},
		{"POST", "/metrics", "", 405},
		{"DELETE", "/healthz", "", 405},
		{"GET", "/", "", 404},
		{"GET", "/debug/pprof/", "", 404},
	} {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, "http://"+at+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != tt.status || !strings.Contains(string(text), tt.want) || err != nil {
			t.Errorf("%s %s: got %d, %q, %v, want %d with %q", tt.method, tt.path, answer.StatusCode, text, err, tt.status, tt.want)
		}
	}
}
