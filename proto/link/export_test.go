package link

import "time"

// WatchTime is watchTime.
const WatchTime = watchTime

// Looks is watch, for tests of the clock.
type Looks struct{ w watch }

// NewLooks begins at a time.
func NewLooks(begun time.Time) *Looks { return &Looks{watch{looked: begun}} }

// Look is watch.look.
func (l *Looks) Look(now time.Time, heard uint64) error { return l.w.look(now, heard) }
