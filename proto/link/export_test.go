package link

import (
	"time"

	"mesh/proto"
)

// WatchInterval is watchInterval.
const WatchInterval = watchInterval

// WatchState is watch, for tests of the clock.
type WatchState struct{ w watch }

// NewWatchState begins at a time.
func NewWatchState(begun time.Time) *WatchState {
	return &WatchState{watch{checked: begun, limit: func() time.Duration { return proto.QuietTimeout }}}
}

// Check is watch.check.
func (s *WatchState) Check(now time.Time, heard uint64) error { return s.w.check(now, heard) }
