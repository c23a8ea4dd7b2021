package share

import (
	"time"

	"mesh/proto"
)

const (
	// snapshotAge is how old a snapshot may be that is sent once more, when many
	// viewers want one during a flood.
	snapshotAge = 20 * time.Millisecond
	// The lines above the screen are made with the output held up. So they have at most
	// scrollbackCells, which take 2 ms, or 16 if each cell has a colour of its own; and
	// who comes again and again gets them made for one part of the time in
	// scrollbackShare.
	scrollbackCells = 256 << 10
	scrollbackShare = 20
)

// snapshot is the emulator's picture at a place.
type snapshot struct {
	at         place
	cols, rows int
	repaint    []byte
	lines      int // of scrollback that were asked for
	taken      time.Time
	paused     bool // for the sharer alone: taken when output was held back
}

// picture returns a snapshot with up to the given lines above the screen, for a viewer
// that has seen all before a place: of behind that, if there is something.
func (s *Session) picture(lines int, seen place) snapshot {
	s.order.Lock()
	defer s.order.Unlock()
	if s.purge {
		lines = 0
	}
	if lines > 0 {
		switch now := time.Now(); {
		case s.fresh(s.scrolled, seen) && s.scrolled.lines == lines:
			return s.scrolled
		case now.After(s.scrollable):
			s.scrolled = s.paint(lines)
			s.scrollable = s.scrolled.taken.Add(scrollbackShare * s.scrolled.taken.Sub(now))
			return s.scrolled
		case s.usable(s.scrolled, seen) && s.scrolled.lines <= lines:
			return s.scrolled // what has come since follows it
		}
	}
	if !s.fresh(s.snapshot, seen) {
		s.snapshot = s.paint(0)
	}
	return s.snapshot
}

// usable reports whether a snapshot is of a time behind a place, if there is one, and
// all that came since is held.
func (s *Session) usable(shot snapshot, seen place) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return shot.repaint != nil && s.history.holds(shot.at) && (shot.at == s.history.newest() || shot.at.behind(seen))
}

// fresh reports whether a snapshot is usable, and as good as a new one.
func (s *Session) fresh(shot snapshot, seen place) bool {
	if !s.usable(shot, seen) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return shot.at == s.history.newest() || time.Since(shot.taken) < snapshotAge
}

// paint takes a snapshot. It is called with order held.
func (s *Session) paint(asked int) snapshot {
	lines := asked
	s.mu.Lock()
	at, cols, rows, paused := s.history.newest(), s.cols, s.rows, s.paused
	s.mu.Unlock()
	if lines > 0 {
		lines = max(min(lines, s.emulator.HistoryWithin(scrollbackCells)), 1)
	}
	repaint := append(s.emulator.Snapshot(lines), s.emulator.Pending()...)
	if len(repaint) > proto.MaxTermSnapshotBytes && lines > 0 {
		repaint = append(s.emulator.Snapshot(0), s.emulator.Pending()...)
	}
	if len(repaint) > proto.MaxTermSnapshotBytes {
		repaint = []byte("\x1bcThe screen is too large to be shown.")
	}
	return snapshot{at, cols, rows, repaint, asked, time.Now(), paused}
}
