package agent

import (
	"time"

	"mesh/proto/hub"
)

// Names is names, and Pause is pause, for tests.
var (
	Names = names
	Pause = pause
)

// GoAwayWait returns how long an agent waits after a goaway.
func GoAwayWait(g hub.GoAway) time.Duration {
	a := New(Options{})
	a.goAway(g)
	return a.takeAway()
}

// CodeHost returns what the codes of a hub end with.
func CodeHost(u hub.URL, trusted, guests bool) string {
	c := &Conn{url: u, trusted: trusted, Welcome: hub.Welcome{Limits: map[string]uint32{}}}
	if guests {
		c.Welcome.Limits[hub.LimitGuests] = 1
	}
	return c.codeHost()
}

// SetOutcomeIn sets how long the requests of an agent that does nothing yet wait for their
// outcome, and returns how long they would have waited.
func SetOutcomeIn(a *Agent, d time.Duration) (before time.Duration) {
	before, a.outcomeIn = a.outcomeIn, d
	return before
}
