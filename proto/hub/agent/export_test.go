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
