package node

import (
	"sync/atomic"
	"time"
)

// outage holds the time since when a link has been broken. The zero value is a link
// that works.
type outage struct{ since atomic.Pointer[time.Time] }

// set notes that the link has broken now, or is back.
func (o *outage) set(broken bool) {
	var since *time.Time
	if broken {
		now := time.Now()
		since = &now
	}
	o.since.Store(since)
}

// length returns how long the link has been broken; broken is false if it works.
func (o *outage) length() (d time.Duration, broken bool) {
	since := o.since.Load()
	if since == nil {
		return 0, false
	}
	return time.Since(*since), true
}

// onBroken returns the function that notes in o, and in the events, that a link has
// broken or is back.
func (n *Node) onBroken(party func() Party, o *outage) func(broken bool) {
	return func(broken bool) {
		o.set(broken)
		name := "resumed"
		if broken {
			name = "broken"
		}
		n.reporter.emit(partyEvent(name, party()))
	}
}
