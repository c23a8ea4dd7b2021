package link

import (
	"context"
	"time"

	"mesh/proto"
	"mesh/proto/transport"
)

// Move is move.
func (l *Link) Move(conn transport.Conn) error { return l.move(conn) }

// ResumeOver says P2P_HELLO with the given try over a connection, for the transfer of l.
func (l *Link) ResumeOver(ctx context.Context, conn transport.Conn, try uint32) (*Link, error) {
	t := l.resumeTarget()
	t.try = try
	return l.endpoint.openLink(ctx, conn, t, l.session)
}

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
