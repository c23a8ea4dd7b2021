package serve

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"mesh/proto/hub/broker"
	"mesh/proto/nat"
)

// Metrics are the numbers of a hub for Prometheus. It implements [broker.Meter]. A nil
// *Metrics counts nothing.
type Metrics struct {
	set *metrics.Set
	// counters has those of set by counted, to find them without their long names.
	counters sync.Map
}

// counted is what a counter counts: see [broker.Meter].
type counted struct{ what, word string }

// words names the label of what is counted.
var words = map[string]string{
	broker.CountLogins: "result", broker.CountEvents: "type", broker.CountErrors: "code", broker.CountSessions: "result",
	broker.CountCodes: "result", broker.CountRateLimited: "limit", broker.CountPaths: "path",
}

// seconds are the bounds of the histograms.
var seconds = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60}

// NewMetrics returns metrics that state the version of the software.
func NewMetrics(software string) *Metrics {
	m := &Metrics{set: metrics.NewSet()}
	m.set.GetOrCreateGauge(fmt.Sprintf("mesh_hub_build_info{software=%q}", software), func() float64 { return 1 })
	m.set.GetOrCreateCounter("mesh_hub_queue_drops_total")
	for _, what := range []string{broker.TookSession, broker.TookCommit} {
		m.Took(what, -1) // it is there before it happens
	}
	return m
}

// Count implements [broker.Meter].
func (m *Metrics) Count(what, word string) {
	if m == nil {
		return
	}
	key := counted{what, word}
	c, ok := m.counters.Load(key)
	if !ok {
		c, _ = m.counters.LoadOrStore(key, m.set.GetOrCreateCounter(fmt.Sprintf("mesh_hub_%s_total{%s=%q}", what, words[what], word)))
	}
	c.(*metrics.Counter).Inc()
}

// Took implements [broker.Meter]. A negative time is not noted.
func (m *Metrics) Took(what string, d time.Duration) {
	if m == nil {
		return
	}
	h := m.set.GetOrCreatePrometheusHistogramExt("mesh_hub_"+what+"_seconds", seconds)
	if d >= 0 {
		h.Update(d.Seconds())
	}
}

// queueDrop counts a client that reads too slowly.
func (m *Metrics) queueDrop() {
	if m != nil {
		m.set.GetOrCreateCounter("mesh_hub_queue_drops_total").Inc()
	}
}

// MetricsHandler answers GET /metrics with the metrics and what the hub holds now.
func (s *Server) MetricsHandler() http.Handler {
	return metricsHandler(s.gather, s.o.Metrics.set)
}

// gather adds what the hub holds now to a set.
func (s *Server) gather(now *metrics.Set) {
	n := s.o.Broker.Count()
	for name, value := range map[string]int{
		`connections{state="online"}`: n.Online, `connections{state="lost"}`: n.Connections - n.Online, `connections{state="silent"}`: s.silent(),
		"sessions_open": n.Sessions, "names": n.Names, "members": n.Members, "rooms": n.Rooms, "codes_open": n.Codes,
	} {
		now.NewGauge("mesh_hub_"+name, func() float64 { return float64(value) })
	}
	if s.o.Relay != nil {
		gatherRelay(now, s.o.Relay.Stats())
	}
	if s.o.STUN != nil {
		gatherSTUN(now, s.o.STUN.Stats())
	}
}

// gatherSTUN adds the numbers of a STUN server to a set.
func gatherSTUN(set *metrics.Set, n nat.ServerStats) {
	set.NewCounter(`mesh_hub_stun_answers_total{transport="udp"}`).Set(n.UDP)
	set.NewCounter(`mesh_hub_stun_answers_total{transport="tcp"}`).Set(n.TCP)
	set.NewCounter("mesh_hub_stun_limited_total").Set(n.Limited)
	set.NewGauge("mesh_hub_stun_connections", func() float64 { return float64(n.Connections) })
}

// metricsHandler answers GET /metrics with what gather adds to a set, and with the sets
// that count.
func metricsHandler(gather func(*metrics.Set), counting ...*metrics.Set) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		now := metrics.NewSet()
		gather(now)
		now.WritePrometheus(w)
		for _, set := range counting {
			set.WritePrometheus(w)
		}
	})
	return mux
}

// silent returns how many connections are not logged in.
func (s *Server) silent() int {
	s.mu.Lock()
	d := s.door
	s.mu.Unlock()
	if d == nil {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}
