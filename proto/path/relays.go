package path

import (
	"context"
	"time"

	"mesh/proto/transport"
)

// relays is the part of a race that goes through relays. A connection of theirs is held
// until nothing direct can come, or [relayPatience] is over.
type relays struct {
	begun   int
	running int
	results chan relayed // sent by each attempt once; the race reads all

	lastDirect time.Time // when the last direct attempt began
	held       transport.Conn
	heldUntil  time.Time
	failed     error
}

// relayed is the result of one attempt.
type relayed struct {
	conn transport.Conn
	err  error
}

func newRelays() relays {
	return relays{results: make(chan relayed), lastDirect: time.Now()}
}

// startRelay begins an attempt through a relay, if that is allowed. It sends one result.
func (r *race) startRelay(ctx context.Context, w Route) {
	if r.relays.begun == maxRelays || r.barsPath(w.Path, w.Path.String()) {
		return
	}
	r.relays.begun++
	r.relays.running++
	go func() {
		conn, err := r.dialRoute(ctx, w)
		r.relays.results <- relayed{conn, err}
	}()
}

func (r *race) noteRelay(got relayed) {
	r.relays.running--
	switch {
	case r.over && got.err != nil:
	case got.err != nil:
		if err := ofStranger(got.err); r.relays.failed == nil || saysMore(err, r.relays.failed) {
			r.relays.failed = err
		}
	case r.over || r.relays.held != nil:
		closeUnused(got.conn)
	default:
		r.relays.held, r.relays.heldUntil = got.conn, r.relays.lastDirect.Add(relayPatience)
	}
}
