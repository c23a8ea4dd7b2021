package relay

import (
	"context"
	"errors"
	"time"
)

// result is what an attempt came to.
type result struct {
	t     *try
	first Status
	err   error
}

// race makes the attempts, and returns the first that gets a status that is no refusal.
func (c *Client) race(ctx context.Context, tries []*try) (*try, Status, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan result) // sent by each attempt once
	failed := make(chan struct{}, len(tries))
	for _, t := range tries {
		wait := time.Duration(0)
		if t.door == DoorWSS && tries[0].door == DoorTCP {
			wait = webSocketAfter
		}
		go func() {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-failed:
			case <-ctx.Done():
			}
			first, err := t.begin(ctx)
			results <- result{t, first, err}
		}()
	}
	var won *result
	var errs []error
	for range tries {
		r := <-results
		switch {
		case r.err != nil:
			errs = append(errs, joinError(ctx, r.t.host, r.err))
			failed <- struct{}{} // the next one need not wait
		case won != nil:
			r.t.conn.Close()
		default:
			won = &r
			cancel()
		}
	}
	if won != nil {
		return won.t, won.first, nil
	}
	return nil, 0, worst(errs)
}

// worst returns the error that says most: that of a refusal if there is one.
func worst(errs []error) error {
	for _, err := range errs {
		if _, ok := errors.AsType[*Refused](err); ok {
			return err
		}
	}
	return errs[0]
}
