package share

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"mesh/proto"
)

// typedTime is how long what one person types is counted together.
const typedTime = 10 * time.Second

// Audit writes what befalls a session, one JSON object a line: who came, left and
// typed how much. What was typed is never in it, nor how long a password is. A nil
// Audit writes nothing.
type Audit struct {
	mu  sync.Mutex
	w   io.Writer
	err error
	// lost is how many lines could not be written since the last that could.
	lost int
	// What one person typed since, and is not written yet.
	by     *typist
	bytes  int
	hidden bool
	since  time.Time
}

// audited is one line.
type audited struct {
	Time   time.Time `json:"time"`
	Event  string    `json:"event"` // share, join, leave, ask, grant, revoke, kick, typed, resize, pause, resume, gap, exit
	PeerID string    `json:"peer_id,omitempty"`
	Peer   string    `json:"peer,omitempty"`
	Addr   string    `json:"addr,omitempty"`
	Rights string    `json:"rights,omitempty"`
	Bytes  int       `json:"bytes,omitempty"`
	Hidden bool      `json:"hidden,omitempty"` // typed while nothing is echoed
	Lost   int       `json:"lost,omitempty"`   // lines, in a gap
	Cols   int       `json:"cols,omitempty"`
	Rows   int       `json:"rows,omitempty"`
	Name   string    `json:"name,omitempty"`
	Code   *int      `json:"code,omitempty"`
}

// audited begins the line of what befalls a viewer.
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

func (a *Audit) write(e audited) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flushLocked()
	a.line(e)
}

func (a *Audit) line(e audited) {
	e.Time = time.Now().UTC()
	if a.lost > 0 && a.append(audited{Time: e.Time, Event: "gap", Lost: a.lost}) {
		a.lost = 0
	}
	if a.lost > 0 || !a.append(e) {
		a.lost++
	}
}

func (a *Audit) append(e audited) (ok bool) {
	line, err := json.Marshal(e)
	if err == nil {
		_, err = a.w.Write(append(line, '\n'))
	}
	if err != nil && a.err == nil {
		a.err = fmt.Errorf("an audit with a gap: %w", proto.IOError(err))
	}
	return err == nil
}

// lacks reports whether there is something that could not be written yet.
func (a *Audit) lacks() bool {
	if a == nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lost > 0
}

// typed counts bytes that somebody typed, but of what is hidden says only that it was.
func (a *Audit) typed(t *typist, n int, hidden bool) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by != t {
		a.flushLocked()
		a.by, a.since = t, time.Now()
	}
	if hidden {
		a.hidden = true
		return
	}
	a.bytes += n
}

// flush writes what is counted since long.
func (a *Audit) flush(now time.Time) {
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
		a.line(audited{Event: "typed", PeerID: a.by.id, Peer: a.by.label, Addr: a.by.addr, Bytes: a.bytes, Hidden: a.hidden})
	}
	a.by, a.bytes, a.hidden = nil, 0, false
}
