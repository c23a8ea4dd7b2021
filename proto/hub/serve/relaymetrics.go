package serve

import (
	"fmt"
	"net/http"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"mesh/proto/relay"
)

// gatherRelay adds the numbers of a relay to a set.
func gatherRelay(set *metrics.Set, n relay.Stats) {
	gauge := func(name string, value float64) {
		set.NewGauge("mesh_relay_"+name, func() float64 { return value })
	}
	gauge("pairs", float64(n.Pairs))
	gauge("waiting", float64(n.Waiting))
	for door, bytes := range n.Bytes {
		set.NewCounter(fmt.Sprintf("mesh_relay_bytes_total{door=%q}", door)).Set(bytes)
	}
	for of, count := range n.Joins {
		set.NewCounter(fmt.Sprintf("mesh_relay_joins_total{door=%q,result=%q}", of.Door, of.Result)).Set(count)
	}
	for limit, d := range map[string]time.Duration{"session": n.LimitedSession, "total": n.LimitedTotal} {
		set.NewFloatCounter(fmt.Sprintf("mesh_relay_limited_seconds_total{limit=%q}", limit)).Set(d.Seconds())
	}
	set.NewFloatCounter("mesh_relay_session_seconds_sum").Set(n.SessionTime.Seconds())
	set.NewCounter("mesh_relay_session_seconds_count").Set(n.Sessions)
}

// MetricsHandler answers GET /metrics with the numbers of the relay.
func (s *RelayServer) MetricsHandler() http.Handler {
	return metricsHandler(func(now *metrics.Set) { gatherRelay(now, s.o.Relay.Stats()) })
}
