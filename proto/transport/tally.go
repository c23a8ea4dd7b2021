package transport

import (
	"log/slog"
	"sync"
	"time"

	"mesh/proto"
)

// tally logs the connections that were turned away before their peer had proven
// anything: the first at once, those of the next minute as one line with their number.
// So no stranger fills a log. The zero value is ready to use.
type tally struct {
	mu      sync.Mutex
	running bool // a line is due in less than a minute
	count   int  // since the last line
	addr    string
	err     error
}

func (t *tally) note(log *slog.Logger, addr string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running {
		t.count, t.addr, t.err = t.count+1, addr, err
		return
	}
	t.running = true
	log.Info("stranger turned away", "addr", addr, "err", err)
	time.AfterFunc(proto.TallyEvery, func() { t.report(log) })
}

// report writes the line of the last minute, and waits for the next if there was any.
func (t *tally) report(log *slog.Logger) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count == 0 {
		t.running = false
		return
	}
	log.Info("more strangers turned away", "count", t.count, "last_addr", t.addr, "last_err", t.err)
	t.count = 0
	time.AfterFunc(proto.TallyEvery, func() { t.report(log) })
}

// flush writes what the last line of the log does not have yet.
func (t *tally) flush(log *slog.Logger) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count > 0 {
		log.Info("more strangers turned away", "count", t.count, "last_addr", t.addr, "last_err", t.err)
		t.count = 0
	}
}

// TurnedAway logs a connection that ended before its peer had proven anything.
func (e *Endpoint) TurnedAway(addr string, err error) {
	e.Refuses(err)
	e.tally.note(e.log, addr, err)
}

// Refuses tells Refused of a peer that is turned away.
func (e *Endpoint) Refuses(err error) {
	if e.Refused != nil {
		e.Refused(err)
	}
}
