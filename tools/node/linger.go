package node

import (
	"time"

	"mesh/proto/link"
	"mesh/proto/path"
)

const (
	// lingerAfter is how long a transfer lasts before its listener, which waits for nobody
	// else, is at the hubs again for the dialer's sake.
	lingerAfter = 3 * time.Second
	// lingerLook is the time between two looks whether the transfer goes on.
	lingerLook = time.Second
	// holeWait is how long a listener that waits for nobody else stays at the hubs for a
	// direct path, holeLook the time between two looks whether there is one.
	holeWait = 90 * time.Second
	holeLook = 250 * time.Millisecond
)

// linger stays at the hubs while the transfer of a link goes on, for nothing but the
// dialer, who asks there when the link has broken: where to find this node now. It blocks
// until the transfer is over or the node closes.
func (p spot) linger(l *link.Link) {
	if len(p.node.options.Hubs) == 0 || !p.goesOn(l, lingerAfter) {
		return
	}
	p.guard = nil
	made := newPresence(p, true)
	made.update(AtHubs{Hubs: p.node.options.Hubs})
	defer made.stop()
	for p.goesOn(l, lingerLook) {
	}
}

// awaitHole keeps the hubs while the link of a dialer runs over a relay and may yet get a
// direct path: the two ends tell each other their candidates there.
func (p spot) awaitHole(l *link.Link) {
	for begun := time.Now(); l.Latest().Path().Kind == path.Relay && time.Since(begun) < holeWait; {
		if !p.goesOn(l, holeLook) {
			return
		}
	}
}

// goesOn reports whether the transfer of a link goes on after a time. It is sooner if the
// node closes.
func (p spot) goesOn(l *link.Link, after time.Duration) bool {
	timer := time.NewTimer(after)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.node.life.Done():
		return false
	}
	goesOn, _ := p.endpoint.Transfer(l.Transfer)
	return goesOn
}
