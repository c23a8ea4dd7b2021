package serve

import (
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
