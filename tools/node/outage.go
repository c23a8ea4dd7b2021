package node

import (
	"sync/atomic"
	"time"
)

// outage is since when a link has been broken. The zero value is one that holds.
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

// length is how long the link has been broken; broken is false while it holds.
func (o *outage) length() (d time.Duration, broken bool) {
	since := o.since.Load()
	if since == nil {
		return 0, false
	}
	return time.Since(*since), true
}

// breaks returns what tells that a link has broken, and that it is back: o, and
// the events.
func (n *Node) breaks(party func() Party, o *outage) func(broken bool) {
	return func(broken bool) {
		o.set(broken)
		name := "resumed"
		if broken {
			name = "broken"
		}
		n.tell.emit(about(name, party()))
	}
}
