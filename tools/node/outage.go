package node

import (
	"sync/atomic"
	"time"

	"mesh/proto/link"
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

// onMoved returns the function that notes in the events that a transfer has moved from a link
// to a better path.
func (n *Node) onMoved(party func() Party) func(from *link.Link) {
	begun := time.Now()
	return func(from *link.Link) {
		was, why := from.Path(), "better"
		if was.Kind.Better(from.Latest().Path().Kind) { // the link broke while it was replaced
			why = "lost"
		}
		if p := party(); p.Path != was.String() {
			n.reporter.emit(pathEvent(p, begun, was.String(), why))
		}
	}
}

func pathEvent(p Party, begun time.Time, from, why string) event {
	e, ms := partyEvent("path", p), time.Since(begun).Milliseconds()
	e.From, e.To, e.Why, e.MS = from, p.Path, why, &ms
	return e
}

// onBroken returns the function that notes in o, and in the events, that a link has
// broken or is back, and that it takes another path.
func (n *Node) onBroken(party func() Party, o *outage) func(broken bool) {
	was, begun := party().Path, time.Now()
	return func(broken bool) { // called by one goroutine
		if lasted, was := o.length(); was && !broken {
			n.options.Board.Resumed(lasted)
		}
		o.set(broken)
		p := party()
		if broken {
			was = p.Path
			n.reporter.emit(partyEvent("broken", p))
			return
		}
		n.reporter.emit(partyEvent("resumed", p))
		if p.Path != was {
			n.reporter.emit(pathEvent(p, begun, was, "lost"))
		}
	}
}
