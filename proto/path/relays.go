package path

import (
	"context"
	"fmt"
	"time"

	"mesh/proto/transport"
)

// relays is the part of a race that goes through relays. A connection of theirs is held
// until nothing direct can come, or [relayPatience] is over.
type relays struct {
	found   <-chan Route
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

func newRelays(found <-chan Route) relays {
	return relays{found: found, results: make(chan relayed), lastDirect: time.Now()}
}

// startRelay begins an attempt through a relay, if that is allowed. It sends one result.
func (r *race) startRelay(ctx context.Context, w Route) {
	if r.relays.begun == maxRelays || r.barsPath(w.Path, w.Path.String()) {
		return
	}
	r.relays.begun++
	r.relays.running++
	go func() {
		conn, err := r.dialRelay(ctx, w)
		r.relays.results <- relayed{conn, err}
	}()
}

func (r *race) dialRelay(ctx context.Context, w Route) (transport.Conn, error) {
	carrier, err := w.Dial(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("dial through %s: %w", w.Path, err)
	}
	conn, err := r.endpoint.ConnectOver(ctx, carrier, r.target.ID)
	if err != nil {
		return nil, fmt.Errorf("dial through %s: %w", carrier.Path, err)
	}
	return conn, nil
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
