package hub

import (
	"net"

	"mesh/proto/hub/serve"
)

// newMetrics returns the metrics, nil without --metrics.
func (h *server) newMetrics() *serve.Metrics {
	if h.o.metrics == "" {
		return nil
	}
	return serve.NewMetrics(software())
}

// openMetrics begins to answer with metrics, until the listener is closed.
func (h *server) openMetrics() (stop func(), err error) {
	if h.o.metrics == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", h.o.metrics)
	if err != nil {
		return nil, listenError(err, "--metrics")
	}
	s := metricsServer(h.hub.MetricsHandler(), h.log)
	h.wg.Go(func() { _ = s.Serve(l) })
	h.log.Info("metrics", "at", l.Addr())
	return func() { _ = s.Close() }, nil
}
