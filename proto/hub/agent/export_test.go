package agent

import (
	"context"
	"fmt"
	"time"

	"mesh/proto/hub"
)

// Names is names, and Pause is pause, for tests.
var (
	Names = names
	Pause = pause
)

// GoAwayWait returns how long an agent waits after a goaway.
func GoAwayWait(g hub.GoAway) time.Duration {
	a := New(Options{})
	a.goAway(g)
	return a.takeAway()
}

// CodeHost returns what the codes of a hub end with.
func CodeHost(u hub.URL, trusted, guests bool) string {
	c := &Conn{url: u, trusted: trusted, Welcome: hub.Welcome{Limits: map[string]uint32{}}}
	if guests {
		c.Welcome.Limits[hub.LimitGuests] = 1
	}
	return c.codeHost()
}

// SetOutcomeIn sets how long the requests of an agent that does nothing yet wait for their
// outcome, and returns how long they would have waited.
func SetOutcomeIn(a *Agent, d time.Duration) (before time.Duration) {
	before, a.outcomeIn = a.outcomeIn, d
	return before
}

// MaxSeen is maxSeen, and MaxDeciding is maxDeciding, for tests.
const (
	MaxSeen     = maxSeen
	MaxDeciding = maxDeciding
)

// Remembered returns how many of n requests a listener remembers, and whether the first and
// the last one are among them.
func Remembered(n int) (count int, first, last bool) {
	o := offers{seen: make(map[string]*deciding)}
	for i := range n {
		d := &deciding{}
		o.remember(fmt.Sprint(i), d)
		o.remember(fmt.Sprint(i, " with its signature"), d)
	}
	return len(o.seen) / 2, o.seen["0"] != nil, o.seen[fmt.Sprint(n-1)] != nil
}

// NewPace returns a function that waits until the next list of candidates may pass.
func NewPace() func(ctx context.Context) bool { return newPace().wait }

// AnswerLife is answerLife, for tests.
const AnswerLife = answerLife

// KeptAnswers returns how many of n requests a listener still has the answers of, some time
// later, and how many it remembers.
func KeptAnswers(n int, later time.Duration) (answers, remembered int) {
	o := offers{seen: make(map[string]*deciding)}
	now := time.Now()
	for i := range n {
		o.remember(fmt.Sprint(i), &deciding{began: now, answer: &Answer{}})
	}
	o.forget(now.Add(later))
	for _, d := range o.seen {
		if d.answer != nil {
			answers++
		}
	}
	return answers, len(o.seen)
}

// Outcome returns the outcome of a session for which the hub sends events, one after the other,
// before its caller looks.
func Outcome(session hub.ID, events ...hub.Event) hub.Event {
	a := New(Options{})
	m := &making{request: hub.Request{Session: session}, outcome: make(chan hub.Event, 1), over: make(chan struct{}), asked: make(chan struct{})}
	a.begin(m)
	for _, e := range events {
		a.outcome(e)
	}
	return <-m.outcome
}
