package share

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"mesh/proto"
)

const (
	// typedTime is the longest period over which the bytes that one person types are
	// summed, if no end of a line ends it.
	typedTime = 10 * time.Second
	// lineTime is the least time between two lines that one event each tells of: a paste
	// of many lines, or a viewer that sends nothing but ends of lines, fills no disk.
	lineTime = 100 * time.Millisecond
)

// Audit writes the events of a session, one JSON object a line: who joined, left, and
// typed how many bytes. It never has what was typed, nor the length of a password. A
// nil Audit writes nothing.
type Audit struct {
	mu   sync.Mutex // a leaf; guards what follows
	w    io.Writer
	err  error // the first failure
	lost int   // lines that could not be written since the last that could
	// What one person has typed, and is not written yet.
	by     *typist
	bytes  int
	hidden bool
	since  time.Time
	line   time.Time // when the last event for a whole line was written
}

// audited is an event.
type audited struct {
	Time   time.Time `json:"time"`
	Event  string    `json:"event"` // share, join, leave, ask, grant, revoke, kick, typed, resize, pause, resume, gap, exit
	PeerID string    `json:"peer_id,omitempty"`
	Peer   string    `json:"peer,omitempty"`
	Addr   string    `json:"addr,omitempty"`
	Rights string    `json:"rights,omitempty"`
	Bytes  int       `json:"bytes,omitempty"`
	Hidden bool      `json:"hidden,omitempty"` // typed while the terminal shows nothing of it
	Lost   int       `json:"lost,omitempty"`   // lines, in a gap
	Cols   int       `json:"cols,omitempty"`
	Rows   int       `json:"rows,omitempty"`
	Name   string    `json:"name,omitempty"`
	Code   *int      `json:"code,omitempty"`
}

// audited returns an event of a viewer.
func (v *viewer) audited(event string) audited {
	return audited{Event: event, PeerID: v.who.ID, Peer: v.label, Addr: v.who.Addr}
}

// NewAudit returns an audit that writes to w.
func NewAudit(w io.Writer) *Audit { return &Audit{w: w} }

// Err returns the first failure of writing.
func (a *Audit) Err() error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// write writes an event.
func (a *Audit) write(e audited) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flushLocked()
	a.writeLocked(e)
}

// writeLocked writes an event, and before it the gap, if there is one.
func (a *Audit) writeLocked(e audited) {
	e.Time = time.Now().UTC()
	if a.lost > 0 && a.appendLine(audited{Time: e.Time, Event: "gap", Lost: a.lost}) {
		a.lost = 0
	}
	if a.lost > 0 || !a.appendLine(e) {
		a.lost++
	}
}

// appendLine appends a line, and reports whether that worked.
func (a *Audit) appendLine(e audited) (ok bool) {
	line, err := json.Marshal(e)
	if err == nil {
		_, err = a.w.Write(append(line, '\n'))
	}
	if err != nil && a.err == nil {
		a.err = fmt.Errorf("an audit with a gap: %w", proto.IOError(err))
	}
	return err == nil
}

// hasGap reports whether lines could not be written since the last that could.
func (a *Audit) hasGap() bool {
	if a == nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lost > 0
}

// countTyped counts what somebody typed, up to the end of a line. Of hidden bytes it only
// notes that there were some.
func (a *Audit) countTyped(t *typist, p []byte, hidden bool) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if a.by != t {
		a.flushLocked()
		a.by, a.since = t, now
	}
	if hidden {
		a.hidden = true
	} else {
		a.bytes += len(p)
	}
	if bytes.ContainsAny(p, "\r\n") && now.Sub(a.line) >= lineTime {
		a.flushLocked()
		a.line = now
	}
}

// flushOld writes what was counted over a whole period.
func (a *Audit) flushOld(now time.Time) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by != nil && now.Sub(a.since) >= typedTime {
		a.flushLocked()
	}
}

func (a *Audit) flushLocked() {
	if a.by != nil && (a.bytes > 0 || a.hidden) {
		a.writeLocked(audited{Event: "typed", PeerID: a.by.id, Peer: a.by.label, Addr: a.by.addr, Bytes: a.bytes, Hidden: a.hidden})
	}
	a.by, a.bytes, a.hidden = nil, 0, false
}
