package serve

import (
	"log/slog"
	"strings"
	"time"
)

// SetClientWait makes a hub wait that long for each step of a client that is not logged in.
func SetClientWait(o *Options, d time.Duration) { o.clientWait = d }

// SetAskEvery makes a hub ask relays on other machines that often.
func SetAskEvery(o *RelaysOptions, d time.Duration) { o.askEvery = d }

// Route is what tests see of a route.
type Route struct {
	Method, Path  string
	Public        bool
	Scopes, Query []string
}

// Routes returns all routes, in the notation of OpenAPI.
func (s *Server) Routes() []Route {
	var out []Route
	for _, r := range s.routes() {
		one := Route{Method: r.method, Path: strings.ReplaceAll(r.path, "...", ""), Public: r.public, Query: r.query}
		for _, scope := range r.scopes {
			one.Scopes = append(one.Scopes, string(scope))
		}
		out = append(out, one)
	}
	return out
}

// Answers reports whether a relay has answered when it was asked last.
func Answers(r *Relays, name string) bool {
	for _, s := range r.list {
		if s.name == name {
			return s.alive.Load()
		}
	}
	return false
}

// Silent returns how many connections are open that are not logged in.
func (s *Server) Silent() int {
	s.mu.Lock()
	d := s.door
	s.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// Sampled returns a function that writes a line to a log with few lines at a time.
func Sampled(log *slog.Logger) func(now time.Time) {
	s := &sampled{log: log}
	return func(now time.Time) { s.info(now, "refused") }
}

// SampleBurst is sampleBurst, and SampleEvery is sampleEvery, for tests.
const (
	SampleBurst = sampleBurst
	SampleEvery = sampleEvery
)
