package relay

import (
	"sync"
	"time"
)

// leg is a connection that has passed the door: a place, or one end of a pair.
type leg struct {
	wire    wire
	permit  Permit
	door    string // DoorTCP or DoorWSS
	watched bool   // wire.watch was called and claim not yet; guarded by Server.mu

	mu     sync.Mutex // guards what follows, and the order of the statuses
	joined bool
	still  bool
	timer  *time.Timer
}

// side returns the index of the leg in arrays of two, the dialer's first.
func (l *leg) side() int {
	if l.permit.Role == RoleDialer {
		return 0
	}
	return 1
}

// say writes a status, unless the stream has begun: after Joined it has.
func (l *leg) say(s Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.joined {
		l.joined = s == Joined
		_ = l.wire.say(s) // who reads from the wire meets its end
	}
}

// repeat says the status now and each StatusEvery, until quiet is called.
func (l *leg) repeat(status func() Status) {
	s := status()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.joined || l.still {
		return
	}
	_ = l.wire.say(s)
	l.timer = time.AfterFunc(StatusEvery, func() { l.repeat(status) })
}

// quiet ends repeat.
func (l *leg) quiet() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.still = true
	if l.timer != nil {
		l.timer.Stop()
	}
}

// loud lets repeat be called again.
func (l *leg) loud() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.still = false
}

// refuse tells the node why its connection ends, and ends it.
func (l *leg) refuse(s Status) {
	l.quiet()
	l.say(s)
	l.wire.close()
}
