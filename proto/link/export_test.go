package link

import "time"

// WatchInterval is watchInterval.
const WatchInterval = watchInterval

// WatchState is watch, for tests of the clock.
type WatchState struct{ w watch }

// NewWatchState begins at a time.
func NewWatchState(begun time.Time) *WatchState { return &WatchState{watch{checked: begun}} }

// Check is watch.check.
func (s *WatchState) Check(now time.Time, heard uint64) error { return s.w.check(now, heard) }
