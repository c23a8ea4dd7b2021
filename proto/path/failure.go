package path

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"mesh/proto"
	"mesh/proto/transport"
)

func (r *race) noteFailure(got result) {
	if got.via == r.target.Broken.Via && got.route.addr == r.target.Broken.Addr && errors.Is(got.err, transport.ErrRefused) {
		r.failed, r.left = fmt.Errorf("%w: %w", ErrLeft, got.err), true
		return
	}
	err := got.err
	if !got.route.given {
		err = ofStranger(err)
	}
	if r.failed == nil || !r.left && saysMore(err, r.failed) {
		r.failed = err
	}
}

// ofStranger returns an error of a route that nobody vouches for: what answers there is
// not known to be the peer, so it only says that the route has failed.
func ofStranger(err error) error {
	switch proto.CodeOf(err) {
	case proto.Unreachable, proto.Busy:
		return err
	}
	return &proto.Error{Code: proto.Unreachable, Err: err}
}

// saysMore reports whether a says more about the peer than b: a host answered, and
// a says what was wrong with the answer.
func saysMore(a, b error) bool {
	return proto.CodeOf(b) == proto.Unreachable && proto.CodeOf(a) != proto.Unreachable
}

// failure returns why there is no winner. An error of a relay is told beside that of
// the direct routes.
func (r *race) failure(ctx context.Context) error {
	switch {
	case r.failed != nil && r.relays.failed != nil && saysMore(r.relays.failed, r.failed):
		return fmt.Errorf("%w; %w", r.relays.failed, r.failed)
	case r.failed != nil && r.relays.failed != nil:
		return fmt.Errorf("%w; %w", r.failed, r.relays.failed)
	case r.failed != nil:
		return r.failed
	case r.relays.failed != nil:
		return r.relays.failed
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case r.notFound != nil:
		return r.notFound
	}
	if len(r.barred) > 0 {
		return proto.Errorf(proto.Unreachable, "no path to the peer is %s; not tried: %s", r.target.Via, strings.Join(r.barred, ", "))
	}
	return proto.Errorf(proto.Unreachable, "no address is known for the peer")
}
