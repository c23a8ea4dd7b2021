package hub

import (
	"log/slog"
	"net"
	"net/http"

	"mesh/proto/hub/serve"
	"mesh/tools/board"
	"mesh/tools/cmdline"
	"mesh/tools/metrics"
)

// newMetrics returns the metrics, nil without --metrics.
func (h *server) newMetrics() *serve.Metrics {
	if h.o.metrics == "" {
		return nil
	}
	return serve.NewMetrics(software())
}

// openMetrics begins to answer with what handler returns at an address, if there is one,
// until the returned function is called.
func openMetrics(addr string, handler func() http.Handler, log *slog.Logger) (stop func(), err error) {
	if addr == "" {
		return func() {}, nil
	}
	if stop, err = metrics.Listen(addr, handler(), log); err != nil {
		return nil, cmdline.ListenError(err, "--"+cmdline.MetricsName)
	}
	return stop, nil
}

// post lets mesh status see the hub, until the returned function is called.
func (h *server) post(bound net.Addr) (stop func()) {
	b := board.New(board.ModeHub, h.url(bound).Name(), cmdline.VersionText(), nil)
	b.Fill = func(c *board.Card) {
		n := h.broker.Count()
		c.Places, c.Taken = h.o.max, n.Connections
		c.Server = &board.Server{Online: n.Online, Members: n.Members, Sessions: n.Sessions, Draining: n.Draining}
		if h.relay != nil {
			c.Server.Relayed = h.relay.Stats().Pairs
		}
	}
	stop, err := b.Post(h.o.home)
	if err != nil {
		h.log.Warn("mesh status cannot see this", "err", err)
		return func() {}
	}
	return stop
}
