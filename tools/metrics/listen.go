package metrics

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

const (
	// answerTime bounds a request and its answer, maxConns the connections at a time.
	answerTime = 5 * time.Second
	maxConns   = 10
	maxHeader  = 8 << 10
)

// Listen answers GET /metrics at an address with h, and GET /healthz with 200, until the
// returned function is called. The errors are those of package net.
func Listen(addr string, h http.Handler, log *slog.Logger) (stop func(), err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", h)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "ok\n")
	})
	s := &http.Server{
		Handler: mux, ReadTimeout: answerTime, WriteTimeout: answerTime, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	s.SetKeepAlivesEnabled(false) // idle connections would take the places of others
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(netutil.LimitListener(l, maxConns)) })
	log.Info("metrics", "at", l.Addr())
	return func() {
		_ = s.Close()
		wg.Wait()
	}, nil
}

// Handler answers with what m counts, and with the gauges of now.
func (m *Meter) Handler(gauges func() []Gauge) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		m.Write(w, gauges())
	})
}
