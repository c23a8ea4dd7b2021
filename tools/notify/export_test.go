package notify

import (
	"context"
	"net"
	"path/filepath"
	"time"

	"mesh/proto"
)

// Over returns a channel whose connections dial makes.
func (c Channel) Over(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Channel {
	c.dial = dial
	return c
}

// Send makes one attempt.
func (c Channel) Send(ctx context.Context, m Message) error { return c.send(ctx, m) }

// PauseOf returns what a server wants to be waited for.
func PauseOf(err error) time.Duration {
	if l, ok := err.(*later); ok {
		return l.after
	}
	return 0
}

// LockChannel locks a channel as another process would.
func LockChannel(ctx context.Context, state, channel string) (unlock func(), err error) {
	return spool{filepath.Join(state, Folder)}.lock(ctx, channel)
}

// Subject is what is remembered of a job.
type Subject struct{ s subject }

// End returns what is to be told of an end.
func (s *Subject) End(code proto.Code, now time.Time, repeat time.Duration) (tell, works bool, failures int) {
	v := s.s.end(code, now, repeat)
	if v.works {
		return v.tell, true, v.before.Failures
	}
	return v.tell, false, v.failures
}
