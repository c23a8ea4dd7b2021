package vt

// Limits of the memory of one terminal, in bytes. Together with two screens of the
// largest size, it has less than 64 MiB, whatever the program prints.
const (
	maxHistoryBytes = 16 << 20
	maxClusterTable = 8 << 20
	maxStyleTable   = 8 << 20

	cellBytes     = 8
	rowOverhead   = 48  // the memory of a line of history besides its cells
	tableOverhead = 100 // the memory of an interned value besides its text
)

// clusterSize and styleSize return the memory of an interned value.
func clusterSize(text string) int { return len(text) + tableOverhead }
func styleSize(style) int         { return tableOverhead }

// refusalsPerTrim is how many values are refused between two searches for unused ones.
const refusalsPerTrim = 8192

// memory counts the values that were refused for want of room.
type memory struct {
	refused int
	next    int // makeRoom is due when more were refused
}

// makeRoom searches for unused values after some were refused, and drops the older half
// of the history until there is room: what is new is worth more. It is called between
// two operations, since the numbers of values change.
func (t *Terminal) makeRoom() {
	for {
		t.sweep()
		hasRoom := t.clusters.bytes < maxClusterTable/2 && t.styles.bytes < maxStyleTable/2
		n := len(t.main.history)
		if hasRoom || n == 0 {
			t.memory.next = t.memory.refused
			if !hasRoom { // the screens need it all: do not search for each value
				t.memory.next += refusalsPerTrim
			}
			return
		}
		t.main.dropHistory((n + 1) / 2)
	}
}

// styleNumber returns the number of a style. If there is no room for it, its colours are
// coarser, or the default ones.
func (t *Terminal) styleNumber(s style) uint32 {
	if t.styles.hasRoom(s, maxStyleTable) {
		return t.styles.number(s)
	}
	t.memory.refused++
	if s = s.coarse(); t.styles.hasRoom(s, maxStyleTable+maxStyleTable/4) {
		return t.styles.number(s)
	}
	return 0
}

// coarse returns the style with few different colours.
func (p style) coarse() style {
	for _, c := range []*Color{&p.fg, &p.bg} {
		if r, g, b, ok := c.RGB(); ok {
			const keep = 0xc0
			*c = RGB(r&keep, g&keep, b&keep)
		}
	}
	p.line, p.link = 0, 0
	return p
}

// clusterNumber returns the number of the text of a cell, or false if there is no room
// for it.
func (t *Terminal) clusterNumber(text string) (uint32, bool) {
	if !t.clusters.hasRoom(text, maxClusterTable) {
		t.memory.refused++
		return 0, false
	}
	return t.clusters.number(text), true
}

// dropHistory drops the n oldest lines of the history.
func (s *screen) dropHistory(n int) {
	s.unroll()
	for i := range s.history[:n] {
		s.historyBytes -= s.history[i].bytes()
	}
	s.history = append([]row(nil), s.history[n:]...)
}

// clearHistory drops the whole history.
func (s *screen) clearHistory() { s.history, s.oldest, s.historyBytes = nil, 0, 0 }

// bytes returns the memory of a line of history.
func (r *row) bytes() int { return cap(r.cells)*cellBytes + rowOverhead }
