package roam

import (
	"context"
	"time"

	"mesh/proto/nat"
)

const (
	SettleTime    = settleTime
	LookPause     = lookPause
	ClockInterval = clockInterval
	PollInterval  = pollInterval
	SleepTime     = sleepTime
)

// WatchFake watches a machine that look and wall describe; nil hints are a system that
// gives none.
func WatchFake(ctx context.Context, look func() ([]nat.Host, error), wall func() time.Time, hints <-chan struct{}) *Watcher {
	s := system{look: func() (state, error) {
		hosts, err := look()
		return state{hosts: hosts}, err
	}, wall: wall, interval: clockInterval, polls: hints == nil}
	if s.polls {
		s.interval = pollInterval
	}
	return s.watch(ctx, hints)
}
