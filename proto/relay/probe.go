package relay

import (
	"context"
	"errors"
	"time"

	"mesh/proto"
)

// noPermit is what a probe shows in place of a permit. Every relay refuses it.
const noPermit = "-"

// Probe finds out whether a door can be reached: it asks for a place without a permit,
// which only a relay refuses as one. It returns the time until the refusal, with the
// connection set up. Permit is not read. Errors have the codes of [Client.Join].
func (c *Client) Probe(ctx context.Context, e Entry) (time.Duration, error) {
	e.Permit = noPermit
	t, err := c.parseURL(e)
	if err != nil {
		return 0, &proto.Error{Code: proto.Unreachable, Err: err}
	}
	began := time.Now()
	_, err = t.begin(ctx)
	took := time.Since(began)
	if r, ok := errors.AsType[*Refused](err); ok && r.Code != proto.Busy {
		return took, nil
	}
	if err == nil {
		_ = t.conn.Close()
		err = errors.New("it gives a place to anybody")
	}
	return 0, joinError(ctx, t.host, err)
}

// Proxied reports whether the door of an entry is reached through a proxy.
func (c *Client) Proxied(e Entry) bool {
	t, err := c.parseURL(e)
	return err == nil && t.proxied
}
