package share

import (
	"time"

	"mesh/proto"
)

const (
	// snapshotAge is how old a snapshot may be to be sent again: during a flood many
	// viewers want one.
	snapshotAge = 20 * time.Millisecond
	// Lines above the screen are copied while the output waits. So a snapshot has at
	// most scrollbackCells of them, which takes 2 ms, or 16 ms if each cell has a colour
	// of its own. Viewers that join again and again can have such snapshots made for
	// one part in scrollbackShare of the time.
	scrollbackCells = 256 << 10
	scrollbackShare = 20
)

// snapshot is the emulator's picture at a place in the stream.
type snapshot struct {
	at         place
	cols, rows int
	repaint    []byte // the bytes that draw it; nil means that there is no snapshot
	lines      int    // lines above the screen that were asked for
	taken      time.Time
	paused     bool // taken during a pause: for the sharer alone
}

// snapshot returns a snapshot with up to so many lines above the screen, for a viewer
// that has seen everything before a place. It brings something new, if there is any.
func (o *output) snapshot(lines int, seen place) snapshot {
	o.order.Lock()
	defer o.order.Unlock()
	if o.purge {
		lines = 0
	}
	if lines > 0 {
		switch now := time.Now(); {
		case o.isFresh(o.scrolled, seen) && o.scrolled.lines == lines:
			return o.scrolled
		case now.After(o.nextScrolled):
			o.scrolled = o.takeSnapshot(lines)
			o.nextScrolled = o.scrolled.taken.Add(scrollbackShare * o.scrolled.taken.Sub(now))
			return o.scrolled
		case o.canFollow(o.scrolled, seen) && o.scrolled.lines <= lines:
			return o.scrolled // the viewer gets the output since then, too
		}
	}
	if !o.isFresh(o.latest, seen) {
		o.latest = o.takeSnapshot(0)
	}
	return o.latest
}

// canFollow reports whether a viewer that has seen everything before a place can
// continue with a snapshot: it is not older than that, and the output since then is
// still held.
func (o *output) canFollow(shot snapshot, seen place) bool {
	o.stream.mu.Lock()
	defer o.stream.mu.Unlock()
	h := o.stream.history
	return shot.repaint != nil && h.holds(shot.at) && (shot.at == h.newest() || shot.at.isAfter(seen))
}

// isFresh reports whether a viewer can continue with a snapshot, and a new one would
// be no better.
func (o *output) isFresh(shot snapshot, seen place) bool {
	if !o.canFollow(shot, seen) {
		return false
	}
	o.stream.mu.Lock()
	defer o.stream.mu.Unlock()
	return shot.at == o.stream.history.newest() || time.Since(shot.taken) < snapshotAge
}

// takeSnapshot is called with order held.
func (o *output) takeSnapshot(asked int) snapshot {
	lines := asked
	s := &o.stream
	s.mu.Lock()
	shot := snapshot{at: s.history.newest(), cols: s.cols, rows: s.rows, lines: asked, paused: s.paused}
	s.mu.Unlock()
	if lines > 0 {
		lines = max(min(lines, o.emulator.HistoryWithin(scrollbackCells)), 1)
	}
	shot.repaint = append(o.emulator.Snapshot(lines), o.emulator.Pending()...)
	if len(shot.repaint) > proto.MaxTermSnapshotBytes && lines > 0 {
		shot.repaint = append(o.emulator.Snapshot(0), o.emulator.Pending()...)
	}
	if len(shot.repaint) > proto.MaxTermSnapshotBytes {
		shot.repaint = []byte("\x1bcThe screen is too large to be shown.")
	}
	shot.taken = time.Now()
	return shot
}
